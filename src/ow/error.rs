//! What can go wrong with a call to OW, by what the caller must do about it.

use crate::ow::page::PageError;

/// Why OW did not give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwError {
    /// The key is not accepted: every other call would fail alike, so the tick stops.
    #[error("401 Invalid or missing API key")]
    Unauthorized,
    /// OW does not know the user: the patient has to be linked anew.
    #[error("OW does not know this user any more (404)")]
    UnknownUser,
    /// OW as a whole cannot be reached, or wants to be left alone: nothing more is to be asked of it now.
    #[error("{0}")]
    Away(String),
    /// It may go well later: the next tick tries again.
    #[error("{0}")]
    Later(String),
    /// It will not go well by itself: somebody has to look at OW's answer.
    #[error("{0}")]
    Wrong(String),
}

impl From<PageError> for OwError {
    fn from(error: PageError) -> Self {
        Self::Wrong(error.to_string())
    }
}
