use crate::common::time::Timestamp;

/// A run as OW lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The user whose data were fetched.
    pub user: String,
    /// `pull`, `backfill`, `webhook`, `sdk`.
    pub source: String,
    /// `success`, `partial`, `failed`, `in_progress`.
    pub status: String,
    /// Samples that were stored.
    pub items: Option<u64>,
    /// From when on it fetched, where it was a fetch of the past.
    pub from: Option<Timestamp>,
    /// When it ended, or last gave a sign of life.
    pub at: Timestamp,
}

impl Run {
    /// A run of a pull that stored something.
    pub fn pull(user: &str, at: Timestamp) -> Self {
        let (source, status) = ("pull".to_owned(), "success".to_owned());
        Self { user: user.to_owned(), source, status, items: Some(2), from: None, at }
    }
}
