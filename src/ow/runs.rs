//! What OW has fetched of late: its list of runs, of all users.

use serde::Deserialize;

/// A run, as far as a hint needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SyncRun {
    /// OW's name of it.
    pub run_id: String,
    /// Whose data were fetched.
    pub user_id: String,
    /// How they came: `pull`, `backfill`, `webhook`, `sdk`, and others.
    #[serde(default)]
    pub source: String,
    /// How far it is.
    #[serde(default)]
    pub status: String,
    /// Records that it stored, where it says.
    #[serde(default)]
    pub items_processed: Option<i64>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<String>,
    /// Its last sign of life, which changes as it goes on.
    #[serde(default)]
    pub last_update: String,
}

impl SyncRun {
    /// Whether it is over and may have brought something. One that failed, or ended in part, may have as well.
    pub fn may_have_brought(&self) -> bool {
        matches!(self.status.as_str(), "success" | "partial" | "failed" | "cancelled")
            && self.items_processed != Some(0)
    }

    /// Whether it fetched the past: what comes of it is older than what is read between sweeps.
    pub fn is_of_the_past(&self) -> bool {
        matches!(self.source.as_str(), "backfill" | "xml_import")
    }
}
