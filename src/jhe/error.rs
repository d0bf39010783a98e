//! What can go wrong with a call to JHE, by what the caller must do about it.

use crate::common::backoff::RetryAfter;

/// Why JHE did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JheError {
    /// It does not accept our key: every other call would fail alike.
    #[error("JHE does not accept the client key ({0}); make a new one there and set JHE_CLIENT_KEY")]
    Unauthorized(String),
    /// It gives nobody a token for what was shown; the text is its own word, such as `invalid_grant`.
    #[error("JHE gives no token ({0})")]
    NotGranted(String),
    /// It does not let us; the text is its own.
    #[error("JHE refuses it: {0}")]
    Forbidden(String),
    /// It has no such thing.
    #[error("JHE does not know it: {0}")]
    NotFound(String),
    /// No answer came: whether it was done is not known.
    #[error("JHE gave no answer ({0})")]
    Silent(String),
    /// It was not done, and may be later.
    #[error("{what}")]
    Later {
        /// What it said.
        what: String,
        /// How long it asks to be left alone.
        retry_after: Option<RetryAfter>,
    },
    /// It could not make anything of the request as a whole; whether parts were done is not known.
    #[error("JHE rejects the request ({status}): {what}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What it said.
        what: String,
    },
    /// What answers is no JHE.
    #[error("what answers at JHE_BASE_URL is no JHE ({0})")]
    Wrong(String),
}

impl JheError {
    /// Whether some of it may have been done all the same.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Rejected { status: 500.., .. } | Self::Wrong(_))
    }
}
