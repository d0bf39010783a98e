//! JHE shows only the present state of a consent. What that means for its history, which decides what may be
//! ingested: pure.

use crate::time::Timestamp;

/// A consent that stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Since when.
    pub granted: Timestamp,
    /// When JHE was last seen to say so.
    pub confirmed: Timestamp,
}

/// JHE's present answer to one scope of one study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether the patient agreed.
    pub consented: bool,
    /// When it was last answered.
    pub at: Timestamp,
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing has changed.
    Keep,
    /// The consent that stands was seen to stand.
    Confirm,
    /// A consent begins.
    Grant(Timestamp),
    /// The consent that stands ended.
    Withdraw(Timestamp),
    /// The consent that stands ended, and another one began: in between it was withdrawn.
    Again {
        /// When it ended, as far as is known.
        withdrawn: Timestamp,
        /// When it began once more.
        granted: Timestamp,
    },
}

/// What JHE's `answer`, none where the question is open or gone, means for the consent that stands, if any.
/// `ended` is when the last one that stood here ended.
///
/// A changed time means: withdrawn from the last time at which it was seen to stand.
pub fn step(open: Option<Open>, ended: Option<Timestamp>, answer: Option<Answer>) -> Step {
    match (open, answer) {
        (None, Some(Answer { consented: true, at })) => Step::Grant(ended.map_or(at, |ended| at.max(ended))),
        (None, _) => Step::Keep,
        // An answer from before the grant that is known here says nothing new.
        (Some(open), Some(Answer { consented: true, at })) if at <= open.granted => Step::Confirm,
        (Some(open), Some(Answer { consented: true, at })) => {
            Step::Again { withdrawn: open.confirmed.min(at), granted: at }
        }
        (Some(open), Some(Answer { consented: false, at })) => Step::Withdraw(at.max(open.granted)),
        (Some(open), None) => Step::Withdraw(open.confirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    /// What stands since `granted` and was seen to stand at `confirmed`.
    fn stands(granted: i64, confirmed: i64) -> Open {
        Open { granted: at(granted), confirmed: at(confirmed) }
    }

    fn says(consented: bool, second: i64) -> Answer {
        Answer { consented, at: at(second) }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        assert_eq!(step(None, None, None), Step::Keep);
        assert_eq!(step(None, None, Some(says(false, 5))), Step::Keep);
        assert_eq!(step(None, None, Some(says(true, 5))), Step::Grant(at(5)));
        assert_eq!(step(Some(stands(5, 9)), None, Some(says(true, 5))), Step::Confirm);
        assert_eq!(step(Some(stands(5, 9)), None, Some(says(false, 12))), Step::Withdraw(at(12)));
        assert_eq!(step(Some(stands(5, 9)), None, None), Step::Withdraw(at(9)));
    }

    #[test]
    fn a_changed_time_means_that_it_was_withdrawn_in_between() {
        let again = Step::Again { withdrawn: at(9), granted: at(20) };
        assert_eq!(step(Some(stands(5, 9)), None, Some(says(true, 20))), again);
    }

    #[test]
    fn a_new_grant_never_reaches_back_over_a_withdrawal() {
        assert_eq!(step(None, Some(at(30)), Some(says(true, 20))), Step::Grant(at(30)));
    }
}
