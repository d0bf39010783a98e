//! Open mHealth (OMH): converts records of OW and of Oura into samples, and renders observations as OMH data
//! points, FHIR resources, CSV rows and text for people. Pure, without I/O.

pub(crate) mod body;
pub mod convert;
pub(crate) mod day;
pub mod event;
pub(crate) mod event_samples;
pub(crate) mod identity;
pub(crate) mod oura;
pub(crate) mod read;
pub mod render;
pub(crate) mod show;
pub mod vitals;
