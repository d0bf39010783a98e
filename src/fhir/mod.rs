//! The data of a study as FHIR resources, for the holders of a token: search, cursors, resources and bulk export. The
//! routes are in `web/fhir`.

pub mod base;
pub mod bulk;
pub mod capability;
pub mod cursor;
pub mod dates;
pub mod delivered;
pub mod observation_query;
pub mod observation_search;
pub mod parameters;
pub mod resources;
