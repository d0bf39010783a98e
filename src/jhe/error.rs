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
    /// JHE, or what stands before it, rejects the request as a whole. After a status of 408, or of 500 or more,
    /// JHE may have done parts of it.
    #[error("JHE rejects the request ({status}): {message}")]
    Rejected { status: u16, message: String, retry_after: Option<RetryAfter> },
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
        matches!(
            self,
            Self::NoResponse(_) | Self::Rejected { status: 408 | 500.., .. } | Self::InvalidResponse(_)
        )
    }

    /// Returns true if JHE may reject a whole batch so because of one entry: too large a body, a missing
    /// attachment (400 with a list as its text), or a resource that JHE cannot parse (500).
    pub(crate) fn may_concern_one_entry(&self) -> bool {
        match self {
            Self::Rejected { status: 413 | 500, .. } => true,
            Self::Rejected { status: 400, message, .. } => message.starts_with('['),
            _ => false,
        }
    }

    /// Returns true for an error of one patient, who is out of the practitioner's reach.
    pub(crate) fn concerns_one_patient(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::NotFound(_))
    }

    /// Returns the wait that the answer asks for.
    pub(crate) fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Rejected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
