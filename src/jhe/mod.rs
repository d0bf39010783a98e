//! `JupyterHealth` Exchange: every call that is made to it, and how its answers are read.

mod answers;
mod bundle;
mod client;
mod consents;
mod error;
mod http;
mod observations;
mod patients;

pub use answers::ScopeAnswer;
pub use bundle::{Entry, parse as parse_bundle};
pub use client::{Jhe, Who};
pub use consents::{Consents, Organization, ScopeConsent, Standing, StudyConsents};
pub use error::JheError;
pub use observations::{ObservationPage, Observed};
pub use patients::Person;
