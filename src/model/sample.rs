//! A sample as OW delivers it.

use std::sync::Arc;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::activity_context::ActivityContext;
use crate::model::sample_details::{SampleDetails, TimeFrame};

/// One sample of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Time of the measurement.
    pub instant: Timestamp,
    /// Always finite.
    pub value: f64,
    /// Local offset at the measurement, if the sample names it.
    pub zone: Option<ZoneOffset>,
    pub context: Option<ActivityContext>,
    /// Behind a pointer, because most samples have none.
    pub details: Option<Arc<SampleDetails>>,
}

impl Sample {
    /// Returns the interval of the measurement; none for an instant.
    pub fn frame(&self) -> Option<TimeFrame> {
        self.details.as_ref().and_then(|details| details.frame)
    }

    /// Returns the id of a night, workout or daily summary.
    pub fn event(&self) -> Option<&str> {
        self.details.as_ref().and_then(|details| details.id.as_deref())
    }
}
