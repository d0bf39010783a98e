//! Errors of calls to JHE, by what the caller does about them.

use crate::common::backoff::RetryAfter;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JheError {
    /// JHE refuses the client key. Every other call would fail alike.
    #[error("JHE does not accept the client key ({0}); make a new one there and set JHE_CLIENT_KEY")]
    Unauthorized(String),
    /// The token endpoint refuses a grant; the text is JHE's error code, such as `invalid_grant`.
    #[error("JHE gives no token ({0})")]
    NotGranted(String),
    #[error("JHE refuses it: {0}")]
    Forbidden(String),
    #[error("JHE does not know it: {0}")]
    NotFound(String),
    /// No response came, so JHE may or may not have done what was requested.
    #[error("JHE gave no answer ({0})")]
    NoResponse(String),
    /// JHE has done nothing, and may do it later.
    #[error("{message}")]
    Unavailable { message: String, retry_after: Option<RetryAfter> },
    /// JHE rejects the request as a whole. After a status of 500 or more it may have done parts of it.
    #[error("JHE rejects the request ({status}): {message}")]
    Rejected { status: u16, message: String },
    /// The response is none that a JHE gives: another program may listen at the address.
    #[error("what answers at JHE_BASE_URL is no JHE ({0})")]
    InvalidResponse(String),
}

impl JheError {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands over an error")]
    pub(crate) fn invalid(why: impl ToString) -> Self {
        Self::InvalidResponse(why.to_string())
    }

    /// Returns true if JHE may have done what was requested in spite of the error.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::NoResponse(_) | Self::Rejected { status: 500.., .. } | Self::InvalidResponse(_))
    }
}
