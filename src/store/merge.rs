//! What samples that OW shows mean for what is kept: pure, and the heart of "exactly once".

use std::sync::Arc;

use crate::context::Context;
use crate::particulars::{Frame, Particulars};
use crate::time::{Timestamp, ZoneOffset};

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

/// What is to be written for one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Not kept yet.
    New(Sample),
    /// Kept with another content, which this one replaces as a revision.
    Revised {
        /// What OW shows now.
        sample: Sample,
        /// What was kept.
        kept: Sample,
    },
    /// Kept without the offset, or with another context, than is known now; the measurement itself is the same.
    Placed(Sample),
}

/// Compares what OW shows with what is kept; both in the order of time, each instant once.
pub fn merge(kept: &[Sample], shown: &[Sample]) -> Vec<Change> {
    let mut kept = kept.iter().peekable();
    let mut changes = Vec::new();
    for sample in shown {
        while kept.next_if(|have| have.instant < sample.instant).is_some() {}
        match kept.next_if(|have| have.instant == sample.instant) {
            None => changes.push(Change::New(sample.clone())),
            Some(have) => changes.extend(compare(have, sample)),
        }
    }
    changes
}

/// What `shown` means for the kept sample of the same instant. An offset or a context that is no longer given is
/// not unlearned.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
pub fn compare(kept: &Sample, shown: &Sample) -> Option<Change> {
    let (zone, context) = (shown.zone.or(kept.zone), shown.context.or(kept.context));
    let sample = || Sample { zone, context, ..shown.clone() };
    let revised = || Some(Change::Revised { sample: sample(), kept: kept.clone() });
    match (kept.zone, shown.zone) {
        _ if kept.value != shown.value || kept.particulars != shown.particulars => revised(),
        (None, Some(_)) => Some(Change::Placed(sample())),
        (Some(before), Some(now)) if before != now => revised(),
        _ if context != kept.context => Some(Change::Placed(sample())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, value: f64) -> Sample {
        let instant = Timestamp::from_micros(second * 1_000_000);
        Sample { instant, value, zone: None, context: None, particulars: None }
    }

    fn placed(second: i64, value: f64, minutes: i64) -> Sample {
        Sample { zone: ZoneOffset::from_minutes(minutes), ..sample(second, value) }
    }

    fn one(kept: &Sample, shown: &Sample) -> Vec<Change> {
        merge(std::slice::from_ref(kept), std::slice::from_ref(shown))
    }

    #[test]
    fn only_what_is_not_kept_is_new() {
        let kept = [sample(1, 60.0), sample(3, 61.0), sample(9, 70.0)];
        let shown = [sample(0, 59.0), sample(1, 60.0), sample(2, 60.5), sample(3, 61.0)];
        assert_eq!(merge(&kept, &shown), [Change::New(shown[0].clone()), Change::New(shown[2].clone())]);
    }

    #[test]
    fn another_value_or_another_offset_is_a_revision() {
        let (kept, now) = (sample(1, 60.0), sample(1, 61.0));
        assert_eq!(one(&kept, &now), [Change::Revised { sample: now, kept }]);
        let (kept, now) = (placed(1, 60.0, 60), placed(1, 60.0, 120));
        assert_eq!(one(&kept, &now), [Change::Revised { sample: now, kept }]);
    }

    #[test]
    fn other_particulars_are_a_revision() {
        let asleep = |asleep| Some(Arc::new(Particulars { asleep, ..Particulars::default() }));
        let kept = Sample { particulars: asleep(false), ..sample(1, 60.0) };
        let now = Sample { particulars: asleep(true), ..sample(1, 60.0) };
        assert_eq!(one(&kept, &kept), []);
        assert_eq!(one(&kept, &now), [Change::Revised { sample: now, kept }]);
    }

    #[test]
    fn another_context_is_taken_over_and_is_no_revision() {
        let in_context = |context| Sample { context, ..sample(1, 60.0) };
        let (awake, asleep) = (in_context(Some(Context::Awake)), in_context(Some(Context::Sleep)));
        assert_eq!(one(&awake, &asleep), [Change::Placed(asleep)]);
        assert_eq!(one(&sample(1, 60.0), &awake), [Change::Placed(awake.clone())]);
        assert_eq!(one(&awake, &sample(1, 60.0)), []);
    }

    #[test]
    fn an_offset_is_learned_without_a_revision_and_never_unlearned() {
        assert_eq!(one(&sample(1, 60.0), &placed(1, 60.0, 60)), [Change::Placed(placed(1, 60.0, 60))]);
        assert_eq!(one(&placed(1, 60.0, 60), &sample(1, 60.0)), []);
        let (kept, sample) = (placed(1, 60.0, 60), placed(1, 61.0, 60));
        assert_eq!(one(&kept, &self::sample(1, 61.0)), [Change::Revised { sample, kept }]);
    }
}
