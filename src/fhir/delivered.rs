//! Decides which values of an observation are resources of their own, as at JHE: each delivered revision is one.

use crate::common::time::Timestamp;
use crate::model::observation::Observation;
use crate::store::outbox::enqueue::{DAILY_TOTAL_QUIET_PERIOD, QUIET_PERIOD};
use crate::store::samples::reading::EarlierValue;

/// Returns the values of an observation that JHE has or would have, the oldest first, each with the time at which it became
/// current. For a first value that is unknown, and the time of its replacement is used. The current value is among them,
/// unless it is an earlier one that came back.
///
/// For a patient of JHE the store knows which values JHE got. For others the rule of the export decides: a value that
/// was replaced before its quiet period was over is not delivered.
pub fn delivered_values(
    earlier: Vec<EarlierValue>,
    (current, updated): (Observation, Timestamp),
    is_daily_total: bool,
    is_of_jhe: bool,
) -> Vec<(Observation, Timestamp)> {
    let mut delivered: Vec<(Observation, Timestamp)> = Vec::with_capacity(earlier.len() + 1);
    let mut since = None;
    for EarlierValue { observation, replaced, is_delivered } in earlier {
        let lasted = replaced.since(since.unwrap_or(observation.instant));
        let is_shown = match (is_of_jhe, is_daily_total, since) {
            (true, ..) => is_delivered,
            (false, true, _) => lasted >= DAILY_TOTAL_QUIET_PERIOD,
            // A first value is sent at once.
            (false, false, None) => true,
            (false, false, Some(_)) => lasted >= QUIET_PERIOD,
        };
        let updated = since.unwrap_or(replaced);
        since = Some(replaced);
        if is_shown && !is_same_as_last(&delivered, &observation) {
            delivered.push((observation, updated));
        }
    }
    if !is_same_as_last(&delivered, &current) {
        delivered.push((current, updated));
    }
    delivered
}

fn is_same_as_last(delivered: &[(Observation, Timestamp)], next: &Observation) -> bool {
    delivered.last().is_some_and(|(last, _)| {
        last.value.to_bits() == next.value.to_bits()
            && (last.zone, &last.details) == (next.zone, &next.details)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MEASURED: Timestamp = Timestamp::MIN;

    fn at(hours: u64) -> Timestamp {
        MEASURED.plus(Duration::from_hours(hours))
    }

    fn value(value: f64, revision: i64) -> Observation {
        Observation { instant: MEASURED, value, zone: None, revision, context: None, details: None }
    }

    fn earlier(observation: Observation, replaced: u64, is_delivered: bool) -> EarlierValue {
        EarlierValue { observation, replaced: at(replaced), is_delivered }
    }

    fn revisions(shown: &[(Observation, Timestamp)]) -> Vec<i64> {
        shown.iter().map(|(observation, _)| observation.revision).collect()
    }

    #[test]
    fn a_value_that_was_replaced_before_its_quiet_period_was_over_is_not_shown() {
        let earlier = || {
            vec![
                earlier(value(1.0, 0), 1, true),
                earlier(value(2.0, 1), 4, true),
                earlier(value(3.0, 2), 30, true),
            ]
        };
        let shown =
            |is_total| revisions(&delivered_values(earlier(), (value(4.0, 3), at(30)), is_total, false));
        assert_eq!(shown(false), [0, 2, 3], "the second lasted three hours");
        assert_eq!(shown(true), [3], "no total lasted two days");
    }

    #[test]
    fn for_a_patient_of_jhe_the_store_knows_what_was_delivered() {
        let earlier = vec![earlier(value(1.0, 0), 1, false), earlier(value(2.0, 1), 2, true)];
        assert_eq!(revisions(&delivered_values(earlier, (value(3.0, 2), at(2)), false, true)), [1, 2]);
    }

    #[test]
    fn a_value_that_came_back_is_shown_once() {
        let earlier = vec![earlier(value(1.0, 0), 1, true), earlier(value(2.0, 1), 2, true)];
        assert_eq!(revisions(&delivered_values(earlier, (value(1.0, 2), at(2)), false, false)), [0]);
    }
}
