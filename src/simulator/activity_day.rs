use crate::simulator::samples_table::Source;

/// A day of activity that is served as a test says, and not as the samples say.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityDay {
    /// The local day, such as `2026-11-21`.
    pub date: String,
    /// Where it comes from.
    pub source: Source,
    /// Steps.
    pub steps: Option<i64>,
    /// Meters.
    pub distance: Option<f64>,
    /// Kilocalories.
    pub active_calories: Option<f64>,
    /// Minutes.
    pub active_minutes: Option<i64>,
    /// What is served in its place, as it is written here.
    pub verbatim: Option<String>,
}

impl ActivityDay {
    /// A day of an Oura ring with so many steps, of which nothing else is known.
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

    pub(crate) fn place(&self) -> (String, String, String) {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        (self.date.clone(), part(&self.source.source), part(&self.source.device))
    }
}
