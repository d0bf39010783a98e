//! `JupyterHealth` Exchange: every call that is made to it, and how its answers are read.

mod bundle;
mod client;
mod consents;
mod error;
mod patients;

pub use bundle::{Entry, parse as parse_bundle};
pub use client::Jhe;
pub use consents::{Consents, ScopeConsent, StudyConsents};
pub use error::JheError;
pub use patients::Person;
