use std::sync::Arc;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::activity_context::Context;
use crate::model::sample_details::{Frame, Particulars};

/// One sample of a stream: what OW shows, or what is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub instant: Timestamp,
    /// The value, finite.
    pub value: f64,
    /// The local offset, where the sample says.
    pub zone: Option<ZoneOffset>,
    /// What the wearer did, where the provider says.
    pub context: Option<Context>,
    /// What it says beside the value: shared, since most have none and the rest travel together.
    pub particulars: Option<Arc<Particulars>>,
}

impl Sample {
    /// The interval that it measures over; none for an instant.
    pub fn frame(&self) -> Option<Frame> {
        self.particulars.as_ref().and_then(|particulars| particulars.frame)
    }

    /// OW's id of the event that it is.
    pub fn event(&self) -> Option<&str> {
        self.particulars.as_ref().and_then(|particulars| particulars.id.as_deref())
    }
}
