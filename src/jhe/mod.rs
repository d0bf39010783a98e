//! `JupyterHealth` Exchange: every call that is made to it, and how its answers are read.

mod answers;
mod any;
mod bundle;
mod client;
mod consents;
mod error;
mod http;
mod invitation;
mod observations;
mod ow_user;
mod patients;
mod practitioner;
mod setup;

pub use answers::ScopeAnswer;
pub(crate) use any::read_any;
pub use bundle::{Entry, parse as parse_bundle};
pub use client::{Jhe, Who};
pub use consents::{Consents, Organization, ScopeConsent, Standing, StudyConsents};
pub use error::JheError;
pub use invitation::{InvitationCode, InvitingClient, PersonGrant, RedeemError, invitation_url};
pub use observations::{ObservationPage, Observed};
pub use ow_user::Made;
pub use patients::Person;
pub use practitioner::{Membership, Practitioner, SignIn, SignedIn};
