//! A day of activity that a test sets, in place of one computed from samples.

use crate::simulator::samples_table::Source;

/// Date, source and device: the order and the cursor of activity summaries.
pub(crate) type ActivityDayKey = (String, String, String);

/// One day of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityDay {
    /// The local day, such as `2026-11-21`.
    pub date: String,
    pub source: Source,
    pub steps: Option<i64>,
    /// Meters.
    pub distance: Option<f64>,
    /// Kilocalories.
    pub active_calories: Option<f64>,
    pub active_minutes: Option<i64>,
    /// JSON to serve instead of the fields above.
    pub verbatim: Option<String>,
}

impl ActivityDay {
    /// Makes a day of an Oura ring that has steps and nothing else.
    pub fn of(date: &str, steps: i64) -> Self {
        Self {
            date: date.to_owned(),
            source: Source::of("oura"),
            steps: Some(steps),
            distance: None,
            active_calories: None,
            active_minutes: None,
            verbatim: None,
        }
    }

    pub(crate) fn key(&self) -> ActivityDayKey {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (self.date.clone(), text(&self.source.source), text(&self.source.device))
    }
}
