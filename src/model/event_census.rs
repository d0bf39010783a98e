//! Complete lists of OW's events, for the detection of deleted ones.

use crate::model::consent_intervals::Interval;

/// All events that OW has completely within an interval, and perhaps others. A stored event of the interval
/// that is not listed was deleted at OW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCensus {
    pub within: Interval,
    /// OW's event ids.
    pub ids: Vec<Box<str>>,
}
