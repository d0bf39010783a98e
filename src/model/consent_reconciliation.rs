//! JHE shows only the present state of a consent. What that means for its history, which decides what may be
//! ingested: pure.

use crate::common::time::Timestamp;
use crate::model::jhe_consents::Consents;

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
    /// The first answer was a no: what is measured from then until a yes stays out.
    Refuse(Timestamp),
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

/// JHE's answer about a patient, and when it was asked: what it says is true at no earlier time, and maybe at no later
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it said.
    pub seen: Consents,
    /// When it was asked.
    pub asked: Timestamp,
}

/// What is known here of one scope of one study.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The consent that stands.
    pub open: Option<Open>,
    /// When the last one that stood ended.
    pub ended: Option<Timestamp>,
    /// When the patient last withdrew the same from anybody who asked for it here and not at JHE.
    pub ended_here: Option<Timestamp>,
}

/// What JHE's `answer`, none where the question is open or gone, means, when JHE was asked at `asked`.
///
/// A changed time means: withdrawn from the last time at which it was seen to stand. A withdrawal that JHE does not
/// know of is not undone by what JHE had before: only from now on does its yes count.
pub fn step(known: Known, answer: Option<Answer>, asked: Timestamp) -> Step {
    let Known { open, ended, ended_here } = known;
    match (open, answer) {
        (None, Some(Answer { consented: true, at })) if ended_here.is_some_and(|here| here > at) => {
            Step::Grant(asked)
        }
        (None, Some(Answer { consented: true, at })) => Step::Grant(ended.map_or(at, |ended| at.max(ended))),
        (None, Some(Answer { consented: false, at })) if ended.is_none() => Step::Refuse(at),
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
    fn stands(granted: i64, confirmed: i64) -> Known {
        Known { open: Some(Open { granted: at(granted), confirmed: at(confirmed) }), ..Known::default() }
    }

    fn ended(second: i64) -> Known {
        Known { ended: Some(at(second)), ..Known::default() }
    }

    fn says(consented: bool, second: i64) -> Answer {
        Answer { consented, at: at(second) }
    }

    /// JHE is asked at second 100.
    fn means(known: Known, answer: impl Into<Option<Answer>>) -> Step {
        step(known, answer.into(), at(100))
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let nothing = Known::default();
        assert_eq!(means(nothing, None), Step::Keep);
        assert_eq!(means(nothing, says(false, 5)), Step::Refuse(at(5)));
        assert_eq!(means(ended(5), says(false, 5)), Step::Keep, "a no is noted once");
        assert_eq!(means(nothing, says(true, 5)), Step::Grant(at(5)));
        assert_eq!(means(stands(5, 9), says(true, 5)), Step::Confirm);
        assert_eq!(means(stands(5, 9), says(false, 12)), Step::Withdraw(at(12)));
        assert_eq!(means(stands(5, 9), None), Step::Withdraw(at(9)));
    }

    #[test]
    fn a_changed_time_means_that_it_was_withdrawn_in_between() {
        let again = Step::Again { withdrawn: at(9), granted: at(20) };
        assert_eq!(means(stands(5, 9), says(true, 20)), again);
    }

    #[test]
    fn a_new_grant_never_reaches_back_over_a_withdrawal() {
        assert_eq!(means(ended(30), says(true, 20)), Step::Grant(at(30)));
    }

    #[test]
    fn a_yes_from_before_a_withdrawal_made_here_counts_from_now_on() {
        let here = Known { ended_here: Some(at(30)), ..Known::default() };
        assert_eq!(means(here, says(true, 20)), Step::Grant(at(100)));
        assert_eq!(means(here, says(true, 40)), Step::Grant(at(40)));
    }
}
