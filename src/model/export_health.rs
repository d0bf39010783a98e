//! Whether observations get to JHE, as far as somebody has to know of it. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::alert::Kind;

/// What could have been sent for so long is overdue where JHE took nothing in that time: some restarts are over by then.
const OVERDUE: Duration = Duration::from_hours(2);
/// What could have been sent for so long is overdue although JHE takes other things.
const LONG_OVERDUE: Duration = Duration::from_hours(24);
/// What waits for less is no trouble any more. Less than [`OVERDUE`], so that one trouble is not told as many.
const ON_TIME: Duration = Duration::from_hours(1);

/// How the export stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exporting {
    /// Since when what waits longest could have been sent.
    pub oldest: Option<Timestamp>,
    /// Whether JHE took anything in this hour or the one before.
    pub is_taken: bool,
    /// Whether anything waits until somebody mends something at JHE.
    pub is_held: bool,
    /// The first refusal of the last 24 hours, to the hour.
    pub refused: Option<Timestamp>,
}

/// How one kind of trouble stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is some, which began then if nobody knew of it.
    Since(Timestamp),
    /// There is as much as there was.
    AsBefore,
    /// There is none.
    Over,
}

impl Exporting {
    /// Each kind of trouble.
    pub fn troubles(&self, now: Timestamp) -> [(Kind, Trouble); 3] {
        let held = if self.is_held { Trouble::Since(now) } else { Trouble::Over };
        let refused = self.refused.map_or(Trouble::Over, Trouble::Since);
        [(Kind::Unsent, self.unsent(now)), (Kind::Held, held), (Kind::Refused, refused)]
    }

    fn unsent(&self, now: Timestamp) -> Trouble {
        let Some(oldest) = self.oldest else { return Trouble::Over };
        match now.since(oldest) {
            age if age >= LONG_OVERDUE || (age >= OVERDUE && !self.is_taken) => Trouble::Since(oldest),
            age if age < ON_TIME => Trouble::Over,
            _ => Trouble::AsBefore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(hours: u64, is_taken: bool) -> Trouble {
        let now = Timestamp::parse("2026-11-26T12:00:00Z").unwrap();
        let oldest = now.minus(Duration::from_hours(hours));
        match (Exporting { oldest: Some(oldest), is_taken, ..Exporting::default() }).unsent(now) {
            Trouble::Since(since) if since != oldest => panic!("{since}"),
            trouble => trouble,
        }
    }

    #[test]
    fn what_waits_for_long_is_a_trouble_unless_jhe_takes_what_came_before_it() {
        let is_trouble = |hours, is_taken| matches!(waiting(hours, is_taken), Trouble::Since(_));
        assert!(is_trouble(2, false) && is_trouble(24, false) && is_trouble(24, true));
        assert!(!is_trouble(1, false) && !is_trouble(23, true));
        assert_eq!((waiting(1, false), waiting(23, true)), (Trouble::AsBefore, Trouble::AsBefore));
        assert_eq!((waiting(0, false), waiting(0, true)), (Trouble::Over, Trouble::Over));
    }

    #[test]
    fn nothing_is_no_trouble() {
        let troubles = Exporting::default().troubles(Timestamp::parse("2026-11-26T12:00:00Z").unwrap());
        assert!(troubles.iter().all(|(_, trouble)| *trouble == Trouble::Over), "{troubles:?}");
    }
}
