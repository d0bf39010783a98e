//! What samples that OW shows mean for what is kept: pure, and the heart of "exactly once".

use std::sync::Arc;

use crate::model::sample::Sample;
use crate::model::sample_details::{Frame, Particulars};

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
/// not unlearned. The interval of what has no id of its own stays what it was when it was first kept: what a local day
/// is does not change with the patient's profile.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
pub fn compare(kept: &Sample, shown: &Sample) -> Option<Change> {
    let (zone, context) = (shown.zone.or(kept.zone), shown.context.or(kept.context));
    let particulars = reconcile(kept.particulars.as_deref(), shown.particulars.as_ref());
    let measured_otherwise =
        kept.value != shown.value || !says_the_same(kept.particulars.as_deref(), particulars.as_deref());
    let learned = particulars != kept.particulars;
    let sample = || Sample { zone, context, particulars: particulars.clone(), ..shown.clone() };
    let revised = || Some(Change::Revised { sample: sample(), kept: kept.clone() });
    match (kept.zone, shown.zone) {
        _ if measured_otherwise => revised(),
        (Some(before), Some(now)) if before != now => revised(),
        (None, Some(_)) => Some(Change::Placed(sample())),
        _ if learned || context != kept.context => Some(Change::Placed(sample())),
        _ => None,
    }
}

/// What is to be kept of what is shown.
fn reconcile(kept: Option<&Particulars>, shown: Option<&Arc<Particulars>>) -> Option<Arc<Particulars>> {
    let mut said = shown?.clone();
    if let (Some(before), Some(now)) = (kept.and_then(|kept| kept.frame), said.frame) {
        let is_pinned = said.id.is_none();
        let (start, end) = if is_pinned { (before.start, before.end) } else { (now.start, now.end) };
        let zones = |old: Option<_>, new: Option<_>| if is_pinned { old.or(new) } else { new.or(old) };
        let frame = Frame {
            start,
            start_zone: zones(before.start_zone, now.start_zone),
            end,
            end_zone: zones(before.end_zone, now.end_zone),
        };
        if frame != now {
            Arc::make_mut(&mut said).frame = Some(frame);
        }
    }
    Some(said)
}

/// Whether both say the same, offsets aside that only the later one knows.
fn says_the_same(kept: Option<&Particulars>, now: Option<&Particulars>) -> bool {
    let (Some(kept), Some(now)) = (kept, now) else { return kept.is_none() && now.is_none() };
    let frame = match (kept.frame, now.frame) {
        (Some(before), Some(after)) => Some(Frame {
            start_zone: before.start_zone.or(after.start_zone),
            end_zone: before.end_zone.or(after.end_zone),
            ..before
        }),
        (frame, _) => frame,
    };
    Particulars { frame, ..kept.clone() } == *now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::common::time::ZoneOffset;
    use crate::model::activity_context::Context;

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
    fn the_offset_of_an_interval_is_learned_without_a_revision_and_never_unlearned() {
        let over = |id: Option<&str>, start: i64, minutes: Option<i64>| {
            let zone = minutes.and_then(ZoneOffset::from_minutes);
            let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
            let frame = Frame { start: at(start), start_zone: zone, end: at(start + 60), end_zone: zone };
            let particulars =
                Particulars { id: id.map(Into::into), frame: Some(frame), ..Particulars::default() };
            Sample { zone, particulars: Some(Arc::new(particulars)), ..sample(1, 60.0) }
        };
        for id in [None, Some("e1")] {
            let (bare, placed) = (over(id, 1, None), over(id, 1, Some(60)));
            assert_eq!(one(&bare, &placed), [Change::Placed(placed.clone())]);
            assert_eq!(one(&placed, &bare), []);
        }
        let (kept, moved) = (over(Some("e1"), 1, None), over(Some("e1"), 5, None));
        assert_eq!(one(&kept, &moved), [Change::Revised { sample: moved, kept: kept.clone() }]);
        assert_eq!(one(&over(None, 1, None), &over(None, 5, None)), [], "the day of another profile");
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
