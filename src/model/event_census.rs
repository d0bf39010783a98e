use crate::model::consent_intervals::Interval;

/// All events that OW has of a stretch of time: one that is kept, lies in it, and is not among them is gone from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// The time in which they begin and end.
    pub within: Interval,
    /// OW's ids of them.
    pub ids: Vec<Box<str>>,
}
