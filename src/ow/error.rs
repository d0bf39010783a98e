//! Errors of calls to OW, by what the caller does about them.

use crate::ow::page::PageError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwError {
    /// OW refuses the key. Every other call would fail alike, so the tick stops.
    #[error("401 Invalid or missing API key")]
    Unauthorized,
    /// The patient has to be linked again.
    #[error("OW does not know this user any more (404)")]
    UnknownUser,
    /// OW as a whole is unreachable or throttles us, so the tick makes no more calls.
    #[error("{0}")]
    Unavailable(String),
    /// This call failed for now; the next tick tries again.
    #[error("{0}")]
    Transient(String),
    /// OW does not know one of the requested series types; these are the ones that it knows.
    #[error("OW does not know one of the requested series types")]
    UnknownTypes(Vec<String>),
    /// The call fails until somebody acts on OW's answer.
    #[error("{0}")]
    Permanent(String),
}

impl From<PageError> for OwError {
    fn from(error: PageError) -> Self {
        Self::Permanent(error.to_string())
    }
}
