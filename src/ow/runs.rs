//! What OW has fetched of late: its list of runs, of all users.

use serde::Deserialize;

use crate::common::time::Timestamp;

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
    /// Its last sign of life, which changes as it goes on.
    #[serde(default)]
    pub last_update: String,
}

/// What OW noted as a run went on, as far as a hint needs it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SyncEvent {
    run_id: String,
    #[serde(default)]
    metadata: Option<Range>,
}

/// What a run set out to fetch; only the first event of one that fetches the past says it.
#[derive(Debug, Clone, Deserialize)]
struct Range {
    #[serde(default)]
    start_date: Option<String>,
}

/// From when on a run fetched, where its events say.
pub(crate) fn fetched_from(events: &[SyncEvent], run: &str) -> Option<Timestamp> {
    let of_run = events.iter().filter(|event| event.run_id == run);
    let starts = of_run.filter_map(|event| event.metadata.as_ref()?.start_date.as_deref());
    starts.filter_map(|start| Timestamp::parse(start).ok()).min()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_of_a_fetch_of_the_past_says_how_far_it_reaches() {
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
        let of = |run| fetched_from(&events, run);
        assert_eq!(["pull_1", "pull_2", "pull_3", "pull_4"].map(of), [Some(start), None, None, None]);
    }
}
