//! Programs read a study with its token: JHE's API, FHIR search, bulk export.

mod access;
mod bulk_export;
mod fhir_search;
mod recorded_requests;
mod tokens;
