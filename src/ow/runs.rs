//! OW's list of sync runs: the reads from providers that it has made of late, for all users.

use serde::Deserialize;
use serde_json::Value;

use crate::common::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SyncRun {
    pub run_id: String,
    pub user_id: String,
    /// `pull`, `backfill`, `webhook`, `sdk` or another trigger.
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub status: String,
    /// The number of records that it stored, where OW says.
    #[serde(default)]
    pub items_processed: Option<i64>,
    /// Changes as the run goes on.
    #[serde(default)]
    pub last_update: String,
}

/// An entry of a user's log of sync runs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SyncEvent {
    run_id: String,
    /// The first event of a historical run has its range here, as `start_date` and `end_date`.
    #[serde(default)]
    metadata: Value,
}

/// Returns the start of the range that a run read, where its events say.
pub(crate) fn sync_start(events: &[SyncEvent], run: &str) -> Option<Timestamp> {
    let of_run = events.iter().filter(|event| event.run_id == run);
    let starts = of_run.filter_map(|event| event.metadata["start_date"].as_str());
    starts.filter_map(|start| Timestamp::parse(start).ok()).min()
}

impl SyncRun {
    /// Returns true if the run has ended and may have stored data. A failed or partial run may have as well.
    pub fn may_have_stored_data(&self) -> bool {
        matches!(self.status.as_str(), "success" | "partial" | "failed" | "cancelled")
            && self.items_processed != Some(0)
    }

    /// Returns true if the run read the past. Its data are older than a hot read reaches.
    pub fn is_historical(&self) -> bool {
        matches!(self.source.as_str(), "backfill" | "xml_import")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_of_a_historical_run_gives_its_start() {
        // As a real OW wrote it, shortened.
        let events = r#"[
            {"run_id":"pull_1","stage":"completed","metadata":{"is_historical":true,"params":{},"inserted":1}},
            {"run_id":"pull_1","stage":"fetching","metadata":{}},
            {"run_id":"pull_1","stage":"started","metadata":{"trace_id":"8ba9c366","is_historical":true,
             "start_date":"2026-08-27T07:38:45.563465+00:00","end_date":"2026-11-25T07:38:45.563465+00:00"}},
            {"run_id":"pull_2","stage":"started","metadata":{"start_date":null}},
            {"run_id":"pull_3","stage":"started"}]"#;
        let events: Vec<SyncEvent> = serde_json::from_str(events).unwrap();
        let start = Timestamp::parse("2026-08-27T07:38:45.563465Z").unwrap();
        let of = |run| sync_start(&events, run);
        assert_eq!(["pull_1", "pull_2", "pull_3", "pull_4"].map(of), [Some(start), None, None, None]);
    }
}
