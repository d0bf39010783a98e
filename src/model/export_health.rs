//! Problems of the delivery to JHE that need an alert. The definition of "overdue".

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::alert::AlertKind;

/// A due observation is overdue after this time if JHE accepts nothing. A restart of JHE takes less.
const OVERDUE: Duration = Duration::from_hours(2);
/// A due observation is overdue after this time even if JHE accepts others.
const LONG_OVERDUE: Duration = Duration::from_hours(24);
/// The problem is over once nothing has been due for longer. Less than [`OVERDUE`], so that one problem does
/// not cause several alerts.
const ON_TIME: Duration = Duration::from_hours(1);

/// The state of the delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportHealth {
    /// Time at which the oldest sendable observation became due.
    pub oldest_due: Option<Timestamp>,
    /// True if JHE accepted an observation in this hour or the one before.
    pub is_accepting: bool,
    /// True if observations are parked because the configuration of JHE is incomplete.
    pub has_unconfigured: bool,
    /// The first rejection of the last 24 hours, to the hour.
    pub first_refusal: Option<Timestamp>,
    /// The first hour of the last 24 with many rejections.
    pub first_mass_refusal: Option<Timestamp>,
}

/// The state of one kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemStatus {
    /// The problem exists; a new one began at this time.
    Active(Timestamp),
    /// Neither worse nor over: an existing problem goes on, and no new one begins.
    Unchanged,
    Over,
}

impl ExportHealth {
    /// Returns the state of each kind of problem.
    pub fn problems(&self, now: Timestamp) -> [(AlertKind, ProblemStatus); 4] {
        let held = if self.has_unconfigured { ProblemStatus::Active(now) } else { ProblemStatus::Over };
        let since = |first: Option<Timestamp>| first.map_or(ProblemStatus::Over, ProblemStatus::Active);
        [
            (AlertKind::Unsent, self.overdue(now)),
            (AlertKind::Held, held),
            (AlertKind::Refused, since(self.first_refusal)),
            (AlertKind::ManyRefused, since(self.first_mass_refusal)),
        ]
    }

    pub(crate) fn overdue(&self, now: Timestamp) -> ProblemStatus {
        let Some(oldest) = self.oldest_due else { return ProblemStatus::Over };
        // Between the two limits nothing changes, so that an alert does not end and begin again.
        match now.since(oldest) {
            age if age >= LONG_OVERDUE || (age >= OVERDUE && !self.is_accepting) => {
                ProblemStatus::Active(oldest)
            }
            age if age < ON_TIME => ProblemStatus::Over,
            _ => ProblemStatus::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(hours: u64, is_accepting: bool) -> ProblemStatus {
        let now = Timestamp::parse("2026-11-26T12:00:00Z").unwrap();
        let oldest = now.minus(Duration::from_hours(hours));
        match (ExportHealth { oldest_due: Some(oldest), is_accepting, ..ExportHealth::default() })
            .overdue(now)
        {
            ProblemStatus::Active(since) if since != oldest => panic!("{since}"),
            status => status,
        }
    }

    #[test]
    fn old_observations_are_overdue_sooner_if_jhe_accepts_nothing() {
        let is_overdue =
            |hours, is_accepting| matches!(waiting(hours, is_accepting), ProblemStatus::Active(_));
        assert!(is_overdue(2, false) && is_overdue(24, false) && is_overdue(24, true));
        assert!(!is_overdue(1, false) && !is_overdue(23, true));
        assert_eq!(
            (waiting(1, false), waiting(23, true)),
            (ProblemStatus::Unchanged, ProblemStatus::Unchanged)
        );
        assert_eq!((waiting(0, false), waiting(0, true)), (ProblemStatus::Over, ProblemStatus::Over));
    }

    #[test]
    fn an_empty_outbox_is_no_problem() {
        let problems = ExportHealth::default().problems(Timestamp::parse("2026-11-26T12:00:00Z").unwrap());
        assert!(problems.iter().all(|(_, status)| *status == ProblemStatus::Over), "{problems:?}");
    }
}
