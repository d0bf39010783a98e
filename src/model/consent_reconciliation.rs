//! Updates the consent history here from JHE, which shows only the current answers.

use crate::common::time::Timestamp;
use crate::model::jhe_consents::JheConsents;

/// An active consent in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenConsent {
    pub granted: Timestamp,
    /// The last time at which JHE confirmed it.
    pub confirmed: Timestamp,
}

/// JHE's current answer to one scope of one study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JheAnswer {
    pub consented: bool,
    /// Time of the answer.
    pub at: Timestamp,
}

/// A change of the consent history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentChange {
    None,
    /// JHE confirmed the active consent.
    Confirm,
    /// The first answer is a refusal. Samples from then until a grant stay out.
    Refuse(Timestamp),
    Grant(Timestamp),
    Withdraw(Timestamp),
    /// The patient withdrew and granted again since the last refresh.
    Regrant {
        /// The earliest possible time of the withdrawal.
        withdrawn: Timestamp,
        granted: Timestamp,
    },
}

/// A patient's consents at JHE, with the time of the request. They may change at any time after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JheConsentSnapshot {
    pub consents: JheConsents,
    pub requested: Timestamp,
}

/// The stored consent of one scope of one study.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredConsent {
    pub open: Option<OpenConsent>,
    /// End of the last consent that is not active any more.
    pub ended: Option<Timestamp>,
    /// The patient's last withdrawal of the same scope from a local study.
    pub ended_here: Option<Timestamp>,
}

/// Decides how JHE's `answer` changes the stored consent. No answer means that the question is open or gone.
/// `requested` is the time of the request to JHE.
///
/// A changed time of a grant means that the patient withdrew in between; the consent then ends at its last
/// confirmation. An older grant at JHE does not undo a later withdrawal here: it counts from `requested` on.
pub fn decide(known: StoredConsent, answer: Option<JheAnswer>, requested: Timestamp) -> ConsentChange {
    let StoredConsent { open, ended, ended_here } = known;
    match (open, answer) {
        (None, Some(JheAnswer { consented: true, at })) if ended_here.is_some_and(|here| here > at) => {
            ConsentChange::Grant(requested)
        }
        (None, Some(JheAnswer { consented: true, at })) => {
            ConsentChange::Grant(ended.map_or(at, |ended| at.max(ended)))
        }
        (None, Some(JheAnswer { consented: false, at })) if ended.is_none() => ConsentChange::Refuse(at),
        (None, _) => ConsentChange::None,
        // An answer older than the stored grant is not new.
        (Some(open), Some(JheAnswer { consented: true, at })) if at <= open.granted => ConsentChange::Confirm,
        (Some(open), Some(JheAnswer { consented: true, at })) => {
            ConsentChange::Regrant { withdrawn: open.confirmed.min(at), granted: at }
        }
        (Some(open), Some(JheAnswer { consented: false, at })) => {
            ConsentChange::Withdraw(at.max(open.granted))
        }
        (Some(open), None) => ConsentChange::Withdraw(open.confirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn active(granted: i64, confirmed: i64) -> StoredConsent {
        StoredConsent {
            open: Some(OpenConsent { granted: at(granted), confirmed: at(confirmed) }),
            ..StoredConsent::default()
        }
    }

    fn ended(second: i64) -> StoredConsent {
        StoredConsent { ended: Some(at(second)), ..StoredConsent::default() }
    }

    fn says(consented: bool, second: i64) -> JheAnswer {
        JheAnswer { consented, at: at(second) }
    }

    /// Requests at second 100.
    fn change(known: StoredConsent, answer: impl Into<Option<JheAnswer>>) -> ConsentChange {
        decide(known, answer.into(), at(100))
    }

    #[test]
    fn each_answer_makes_its_change() {
        let nothing = StoredConsent::default();
        assert_eq!(change(nothing, None), ConsentChange::None);
        assert_eq!(change(nothing, says(false, 5)), ConsentChange::Refuse(at(5)));
        assert_eq!(change(ended(5), says(false, 5)), ConsentChange::None, "a refusal is recorded once");
        assert_eq!(change(nothing, says(true, 5)), ConsentChange::Grant(at(5)));
        assert_eq!(change(active(5, 9), says(true, 5)), ConsentChange::Confirm);
        assert_eq!(change(active(5, 9), says(false, 12)), ConsentChange::Withdraw(at(12)));
        assert_eq!(change(active(5, 9), None), ConsentChange::Withdraw(at(9)));
    }

    #[test]
    fn a_changed_grant_time_implies_a_withdrawal_in_between() {
        let again = ConsentChange::Regrant { withdrawn: at(9), granted: at(20) };
        assert_eq!(change(active(5, 9), says(true, 20)), again);
    }

    #[test]
    fn a_new_grant_begins_after_the_last_withdrawal() {
        assert_eq!(change(ended(30), says(true, 20)), ConsentChange::Grant(at(30)));
    }

    #[test]
    fn a_grant_older_than_a_local_withdrawal_counts_from_now_on() {
        let here = StoredConsent { ended_here: Some(at(30)), ..StoredConsent::default() };
        assert_eq!(change(here, says(true, 20)), ConsentChange::Grant(at(100)));
        assert_eq!(change(here, says(true, 40)), ConsentChange::Grant(at(40)));
    }
}
