//! The FHIR API: search, read and bulk export, for programs with a study's token.

pub(crate) mod answer;
pub(crate) mod bulk;
pub(crate) mod observations;
pub(crate) mod outcome;
pub(crate) mod patient_device_group;
pub(crate) mod routes;
