//! What samples that OW shows mean for what is kept: pure, and the heart of "exactly once".

use crate::context::Context;
use crate::time::{Timestamp, ZoneOffset};

/// One sample of a stream: what OW shows, or what is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub instant: Timestamp,
    /// The value, finite.
    pub value: f64,
    /// The local offset, where the sample says.
    pub zone: Option<ZoneOffset>,
    /// What the wearer did, where the provider says.
    pub context: Option<Context>,
}

/// What is to be written for one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
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
            None => changes.push(Change::New(*sample)),
            Some(have) => changes.extend(compare(*have, *sample)),
        }
    }
    changes
}

/// What `shown` means for the kept sample of the same instant. An offset or a context that is no longer given is
/// not unlearned.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
pub fn compare(kept: Sample, shown: Sample) -> Option<Change> {
    let (zone, context) = (shown.zone.or(kept.zone), shown.context.or(kept.context));
    let sample = Sample { zone, context, ..shown };
    match (kept.zone, shown.zone) {
        _ if kept.value != shown.value => Some(Change::Revised { sample, kept }),
        (None, Some(_)) => Some(Change::Placed(sample)),
        (Some(before), Some(now)) if before != now => Some(Change::Revised { sample, kept }),
        _ if context != kept.context => Some(Change::Placed(sample)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, value: f64) -> Sample {
        Sample { instant: Timestamp::from_micros(second * 1_000_000), value, zone: None, context: None }
    }

    fn placed(second: i64, value: f64, minutes: i64) -> Sample {
        Sample { zone: ZoneOffset::from_minutes(minutes), ..sample(second, value) }
    }

    #[test]
    fn only_what_is_not_kept_is_new() {
        let kept = [sample(1, 60.0), sample(3, 61.0), sample(9, 70.0)];
        let shown = [sample(0, 59.0), sample(1, 60.0), sample(2, 60.5), sample(3, 61.0)];
        assert_eq!(merge(&kept, &shown), [Change::New(shown[0]), Change::New(shown[2])]);
    }

    #[test]
    fn another_value_or_another_offset_is_a_revision() {
        let (kept, now) = (sample(1, 60.0), sample(1, 61.0));
        assert_eq!(merge(&[kept], &[now]), [Change::Revised { sample: now, kept }]);
        let (kept, now) = (placed(1, 60.0, 60), placed(1, 60.0, 120));
        assert_eq!(merge(&[kept], &[now]), [Change::Revised { sample: now, kept }]);
    }

    #[test]
    fn another_context_is_taken_over_and_is_no_revision() {
        let in_context = |context| Sample { context, ..sample(1, 60.0) };
        let (awake, asleep) = (in_context(Some(Context::Awake)), in_context(Some(Context::Sleep)));
        assert_eq!(merge(&[awake], &[asleep]), [Change::Placed(asleep)]);
        assert_eq!(merge(&[sample(1, 60.0)], &[awake]), [Change::Placed(awake)]);
        assert_eq!(merge(&[awake], &[sample(1, 60.0)]), []);
    }

    #[test]
    fn an_offset_is_learned_without_a_revision_and_never_unlearned() {
        assert_eq!(merge(&[sample(1, 60.0)], &[placed(1, 60.0, 60)]), [Change::Placed(placed(1, 60.0, 60))]);
        assert_eq!(merge(&[placed(1, 60.0, 60)], &[sample(1, 60.0)]), []);
        let (kept, sample) = (placed(1, 60.0, 60), placed(1, 61.0, 60));
        assert_eq!(merge(&[kept], &[self::sample(1, 61.0)]), [Change::Revised { sample, kept }]);
    }
}
