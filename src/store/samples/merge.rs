//! Compares the samples that OW shows with the stored ones. Pure; this decides that each sample is stored
//! exactly once.

use std::sync::Arc;

use crate::model::sample::Sample;
use crate::model::sample_details::{SampleDetails, TimeFrame};

/// The write that one sample needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The sample is not stored yet.
    New(Sample),
    /// The stored content differs and is replaced by a revision.
    Revised(Sample),
    /// The measurement is the same; only its UTC offset or its activity context is new.
    Relocated(Sample),
}

impl Change {
    /// Returns the sample if it is not stored yet.
    pub(crate) fn new_sample(&self) -> Option<&Sample> {
        match self {
            Self::New(sample) => Some(sample),
            Self::Revised(_) | Self::Relocated(_) => None,
        }
    }
}

/// Compares shown with stored samples. Both are in order of instants, each instant once.
pub fn merge(stored: &[Sample], shown: &[Sample]) -> Vec<Change> {
    let mut stored = stored.iter().peekable();
    let mut changes = Vec::new();
    // Both are sorted, so one pass over both suffices.
    for sample in shown {
        while stored.next_if(|have| have.instant < sample.instant).is_some() {}
        match stored.next_if(|have| have.instant == sample.instant) {
            None => changes.push(Change::New(sample.clone())),
            Some(have) => changes.extend(compare(have, sample)),
        }
    }
    changes
}

/// Compares two samples of the same instant. An offset or context that OW omits now is kept. Without an event
/// id, the first time frame is kept: it is a local day, which must not move with the time zone in the
/// patient's profile. A new offset of the sample itself does move it.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
pub fn compare(stored: &Sample, shown: &Sample) -> Option<Change> {
    let (zone, context) = (shown.zone.or(stored.zone), shown.context.or(stored.context));
    let is_new_offset = shown.zone.is_some() && shown.zone != stored.zone;
    let details = merge_details(stored.details.as_deref(), shown.details.as_ref(), is_new_offset);
    let is_other_measurement =
        stored.value != shown.value || !has_equal_content(stored.details.as_deref(), details.as_deref());
    // An offset that became known says more about the same measurement; another offset contradicts it.
    let is_other_offset = stored.zone.is_some() && zone != stored.zone;
    let updated = || Sample { zone, context, details: details.clone(), ..shown.clone() };
    if is_other_measurement || is_other_offset {
        Some(Change::Revised(updated()))
    } else if (zone, context) != (stored.zone, stored.context) || details != stored.details {
        Some(Change::Relocated(updated()))
    } else {
        None
    }
}

/// Returns the shown details with the parts of the stored ones that are kept.
fn merge_details(
    stored: Option<&SampleDetails>,
    shown: Option<&Arc<SampleDetails>>,
    is_new_offset: bool,
) -> Option<Arc<SampleDetails>> {
    let was_part = stored.is_some_and(|stored| stored.was_part);
    let mut merged = match shown {
        Some(shown) => shown.clone(),
        None if was_part => Arc::default(),
        None => return None,
    };
    if let (Some(before), Some(now)) = (stored.and_then(|stored| stored.frame), merged.frame) {
        let is_pinned = merged.id.is_none() && !is_new_offset;
        let (start, end) = if is_pinned { (before.start, before.end) } else { (now.start, now.end) };
        let zones = |old: Option<_>, new: Option<_>| if is_pinned { old.or(new) } else { new.or(old) };
        let frame = TimeFrame {
            start,
            start_zone: zones(before.start_zone, now.start_zone),
            end,
            end_zone: zones(before.end_zone, now.end_zone),
        };
        if frame != now {
            Arc::make_mut(&mut merged).frame = Some(frame);
        }
    }
    if was_part && !merged.was_part {
        Arc::make_mut(&mut merged).was_part = true;
    }
    Some(merged)
}

/// Compares details, except for an offset that only the later one has.
fn has_equal_content(stored: Option<&SampleDetails>, now: Option<&SampleDetails>) -> bool {
    let (Some(stored), Some(now)) = (stored, now) else { return stored.is_none() && now.is_none() };
    let frame = match (stored.frame, now.frame) {
        (Some(before), Some(after)) => Some(TimeFrame {
            start_zone: before.start_zone.or(after.start_zone),
            end_zone: before.end_zone.or(after.end_zone),
            ..before
        }),
        (frame, _) => frame,
    };
    SampleDetails { frame, ..stored.clone() } == *now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::common::time::ZoneOffset;
    use crate::model::activity_context::ActivityContext;

    fn sample(second: i64, value: f64) -> Sample {
        let instant = Timestamp::from_micros(second * 1_000_000);
        Sample { instant, value, zone: None, context: None, details: None }
    }

    fn placed(second: i64, value: f64, minutes: i64) -> Sample {
        Sample { zone: ZoneOffset::from_minutes(minutes), ..sample(second, value) }
    }

    fn one(kept: &Sample, shown: &Sample) -> Vec<Change> {
        merge(std::slice::from_ref(kept), std::slice::from_ref(shown))
    }

    #[test]
    fn a_sample_that_is_not_stored_is_new() {
        let kept = [sample(1, 60.0), sample(3, 61.0), sample(9, 70.0)];
        let shown = [sample(0, 59.0), sample(1, 60.0), sample(2, 60.5), sample(3, 61.0)];
        assert_eq!(merge(&kept, &shown), [Change::New(shown[0].clone()), Change::New(shown[2].clone())]);
    }

    #[test]
    fn another_value_or_another_offset_is_a_revision() {
        let (kept, now) = (sample(1, 60.0), sample(1, 61.0));
        assert_eq!(one(&kept, &now), [Change::Revised(now)]);
        let (kept, now) = (placed(1, 60.0, 60), placed(1, 60.0, 120));
        assert_eq!(one(&kept, &now), [Change::Revised(now)]);
    }

    #[test]
    fn other_details_are_a_revision() {
        let main = |is| Some(Arc::new(SampleDetails { is_main_sleep: Some(is), ..SampleDetails::default() }));
        let kept = Sample { details: main(false), ..sample(1, 60.0) };
        let now = Sample { details: main(true), ..sample(1, 60.0) };
        assert_eq!(one(&kept, &kept), []);
        assert_eq!(one(&kept, &now), [Change::Revised(now)]);
    }

    #[test]
    fn the_offset_of_an_interval_is_learned_without_a_revision_and_never_unlearned() {
        let over = |id: Option<&str>, start: i64, minutes: Option<i64>| {
            let zone = minutes.and_then(ZoneOffset::from_minutes);
            let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
            let frame = TimeFrame { start: at(start), start_zone: zone, end: at(start + 60), end_zone: zone };
            let details =
                SampleDetails { id: id.map(Into::into), frame: Some(frame), ..SampleDetails::default() };
            Sample { zone, details: Some(Arc::new(details)), ..sample(1, 60.0) }
        };
        for id in [None, Some("e1")] {
            let (bare, placed) = (over(id, 1, None), over(id, 1, Some(60)));
            assert_eq!(one(&bare, &placed), [Change::Relocated(placed.clone())]);
            assert_eq!(one(&placed, &bare), []);
        }
        let (kept, moved) = (over(Some("e1"), 1, None), over(Some("e1"), 5, None));
        assert_eq!(one(&kept, &moved), [Change::Revised(moved)]);
        assert_eq!(one(&over(None, 1, None), &over(None, 5, None)), [], "the day of another profile");
    }

    #[test]
    fn another_context_is_stored_without_a_revision() {
        let in_context = |context| Sample { context, ..sample(1, 60.0) };
        let (awake, asleep) =
            (in_context(Some(ActivityContext::Awake)), in_context(Some(ActivityContext::Sleep)));
        assert_eq!(one(&awake, &asleep), [Change::Relocated(asleep)]);
        assert_eq!(one(&sample(1, 60.0), &awake), [Change::Relocated(awake.clone())]);
        assert_eq!(one(&awake, &sample(1, 60.0)), []);
    }

    #[test]
    fn a_total_that_was_a_part_keeps_its_identifier_without_other_details() {
        let was_part = SampleDetails { was_part: true, ..SampleDetails::default() };
        let kept = Sample { details: Some(Arc::new(was_part)), ..sample(1, 60.0) };
        assert_eq!(one(&kept, &sample(1, 60.0)), []);
        let revised = one(&kept, &sample(1, 61.0));
        let [Change::Revised(revised)] = revised.as_slice() else { panic!("{revised:?}") };
        assert!(revised.details.as_ref().is_some_and(|details| details.was_part));
    }

    #[test]
    fn an_offset_is_learned_without_a_revision_and_never_unlearned() {
        assert_eq!(one(&sample(1, 60.0), &placed(1, 60.0, 60)), [Change::Relocated(placed(1, 60.0, 60))]);
        assert_eq!(one(&placed(1, 60.0, 60), &sample(1, 60.0)), []);
        let (kept, sample) = (placed(1, 60.0, 60), placed(1, 61.0, 60));
        assert_eq!(one(&kept, &self::sample(1, 61.0)), [Change::Revised(sample)]);
    }
}
