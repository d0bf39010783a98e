//! Why nothing comes in of a patient: the likely cause, from what is known without asking anybody. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;

/// What is known of a patient who is linked to an OW user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest sample that is kept.
    pub newest: Option<Timestamp>,
    /// When the link was made.
    pub linked: Timestamp,
    /// Whether OW still knows the linked user.
    pub is_known_at_ow: bool,
    /// Whether a consent stands that a device delivers.
    pub consents: bool,
    /// How the devices stand.
    pub devices: Devices,
    /// The last turn that read everything there was.
    pub read: Option<Timestamp>,
    /// Turns since then that failed at OW.
    pub failures: i64,
    /// When OW last fetched from a provider that it pulls, as far as it said.
    pub pulled: Option<Timestamp>,
    /// When OW was last asked about that.
    pub asked: Option<Timestamp>,
}

/// How a patient's devices stand, the best of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// None was ever seen: the patient was linked by hand, or OW was not asked yet.
    Unknown,
    /// The patient is at the provider for the first time.
    Authorizing,
    /// One delivers, since then.
    Active(Timestamp),
    /// Those that were connected no longer are.
    Ended,
}

/// A patient of whom nothing comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The newest sample; where there never was one, since when there could have been.
    pub since: Timestamp,
    /// The likely cause.
    pub cause: Cause,
}

/// Why, most likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The patient agrees to nothing any more.
    ConsentWithdrawn,
    /// OW no longer knows the linked user.
    UserGone,
    /// The patient, or the provider, ended the connection.
    LinkRevoked,
    /// OW fails, or does not answer.
    OwDown,
    /// The daemon itself has not read: it was stopped, switched off, or kept from it.
    NotRead,
    /// OW answers, and fetches nothing from the provider.
    OwNotPulling,
    /// Everything works, and nothing new is there: the device is not worn, not charged, or not synced.
    NotWorn,
}

impl Cause {
    /// All of them, in the order in which they are looked for.
    pub const ALL: &[Self] = &[
        Self::ConsentWithdrawn,
        Self::UserGone,
        Self::LinkRevoked,
        Self::OwDown,
        Self::NotRead,
        Self::OwNotPulling,
        Self::NotWorn,
    ];

    /// As tables, metrics and alerts write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::UserGone => "user_gone",
            Self::LinkRevoked => "link_revoked",
            Self::OwDown => "ow_down",
            Self::NotRead => "not_read",
            Self::OwNotPulling => "ow_not_pulling",
            Self::NotWorn => "not_worn",
        }
    }

    /// The cause of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == name)
    }

    /// In a few words, for a page.
    pub fn words(self) -> &'static str {
        match self {
            Self::ConsentWithdrawn => "consent withdrawn",
            Self::UserGone => "unknown to OW",
            Self::LinkRevoked => "link revoked at the provider",
            Self::OwDown => "OW down",
            Self::NotRead => "not read by this daemon",
            Self::OwNotPulling => "OW not pulling",
            Self::NotWorn => "not worn or not synced",
        }
    }

    /// What to do about it, in a sentence.
    pub fn next(self) -> &'static str {
        match self {
            Self::ConsentWithdrawn => {
                "Nothing is read any more. Invite again only if the patient asks for it."
            }
            Self::UserGone => "OW no longer knows the user: invite again, so that the patient reconnects.",
            Self::LinkRevoked => {
                "The provider's account is no longer connected: invite again, so that the patient reconnects."
            }
            Self::OwDown => "OW does not answer well: see that it runs. What it has is read once it does.",
            Self::NotRead => {
                "The daemon itself has not read: see on the overview whether polling is on, how the last tick ended, \
                 and whether JHE answers, which is asked for consent first."
            }
            Self::OwNotPulling => {
                "OW answers but has not fetched from the provider: see that its worker and its scheduler (celery, beat) \
                 run."
            }
            Self::NotWorn => {
                "Everything else works: ask the patient to wear and charge the device, and to open its app so that it \
                 syncs."
            }
        }
    }
}

/// Whether a patient is silent, and why. Silent is of whom the newest sample is `after` old. A cause that began later
/// than half of that ago is not why: OW, say, was down for an hour.
pub fn silence(known: &Known, after: Duration, now: Timestamp) -> Option<Silence> {
    let since = match (known.newest, known.devices) {
        (Some(newest), _) => newest,
        // A patient who has never come back from the provider is waited for, which the stage tells.
        (None, Devices::Authorizing) => return None,
        (None, Devices::Active(connected)) => connected.max(known.linked),
        (None, Devices::Unknown | Devices::Ended) => known.linked,
    };
    if since.plus(after) > now {
        return None;
    }
    Some(Silence { since, cause: cause(known, since, after / 2, now) })
}

fn cause(known: &Known, since: Timestamp, recent: Duration, now: Timestamp) -> Cause {
    let is_old = |at: Option<Timestamp>| at.unwrap_or(since).plus(recent) <= now;
    match known {
        Known { consents: false, .. } => Cause::ConsentWithdrawn,
        Known { is_known_at_ow: false, .. } => Cause::UserGone,
        Known { devices: Devices::Ended | Devices::Authorizing, .. } => Cause::LinkRevoked,
        _ if is_old(known.read) && known.failures > 0 => Cause::OwDown,
        _ if is_old(known.read) => Cause::NotRead,
        // Nothing is known of a connection that OW does not pull, nor before OW was asked.
        Known { pulled: Some(_), asked: Some(asked), .. }
            if known.pulled.is_some_and(|pulled| pulled.plus(recent) <= *asked) =>
        {
            Cause::OwNotPulling
        }
        _ => Cause::NotWorn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const AFTER: Duration = Duration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    /// All is well, and the newest sample is 30 hours old.
    fn quiet() -> Known {
        let before = |hours: u32| now().minus(HOUR * hours);
        Known {
            newest: Some(before(30)),
            linked: before(500),
            is_known_at_ow: true,
            consents: true,
            devices: Devices::Active(before(500)),
            read: Some(before(0)),
            failures: 0,
            pulled: Some(before(1)),
            asked: Some(before(0)),
        }
    }

    fn found(known: &Known) -> Option<Cause> {
        silence(known, AFTER, now()).map(|silence| silence.cause)
    }

    #[test]
    fn silent_is_who_has_no_sample_of_the_last_hours() {
        assert_eq!(silence(&quiet(), AFTER, now()).unwrap().since, now().minus(HOUR * 30));
        assert_eq!(found(&Known { newest: Some(now().minus(HOUR * 23)), ..quiet() }), None);
        assert_eq!(silence(&quiet(), HOUR * 31, now()), None);
    }

    #[test]
    fn who_never_had_a_sample_is_silent_since_there_could_have_been_one() {
        let linked = Known { newest: None, ..quiet() };
        assert_eq!(silence(&linked, AFTER, now()).unwrap().since, linked.linked);
        let fresh = Known { devices: Devices::Active(now().minus(HOUR)), ..linked };
        assert_eq!(found(&fresh), None, "connected an hour ago");
        assert_eq!(found(&Known { linked: now().minus(HOUR), ..linked }), None, "linked an hour ago");
        assert_eq!(found(&Known { devices: Devices::Authorizing, ..linked }), None, "not connected yet");
        assert_eq!(found(&Known { devices: Devices::Unknown, ..linked }), Some(Cause::NotWorn));
    }

    #[test]
    fn each_cause_is_told_apart() {
        let old = Some(now().minus(HOUR * 13));
        for (known, cause) in [
            (quiet(), Cause::NotWorn),
            (Known { consents: false, is_known_at_ow: false, ..quiet() }, Cause::ConsentWithdrawn),
            (Known { is_known_at_ow: false, ..quiet() }, Cause::UserGone),
            (Known { devices: Devices::Ended, ..quiet() }, Cause::LinkRevoked),
            (Known { read: old, failures: 5, ..quiet() }, Cause::OwDown),
            (Known { read: old, ..quiet() }, Cause::NotRead),
            (Known { pulled: old, ..quiet() }, Cause::OwNotPulling),
        ] {
            assert_eq!(found(&known), Some(cause), "{known:?}");
        }
    }

    #[test]
    fn what_began_lately_is_not_the_cause() {
        let lately = Some(now().minus(HOUR * 11));
        assert_eq!(found(&Known { read: lately, failures: 5, ..quiet() }), Some(Cause::NotWorn));
        assert_eq!(found(&Known { pulled: lately, ..quiet() }), Some(Cause::NotWorn));
    }

    #[test]
    fn that_ow_was_not_asked_of_late_does_not_say_that_it_pulls_nothing() {
        let (asked, pulled) = (Some(now().minus(HOUR * 20)), Some(now().minus(HOUR * 21)));
        assert_eq!(found(&Known { pulled, asked, ..quiet() }), Some(Cause::NotWorn));
    }

    #[test]
    fn a_cause_has_one_name() {
        for &cause in Cause::ALL {
            assert_eq!(Cause::of(cause.as_str()), Some(cause));
        }
        assert_eq!(Cause::of("bored"), None);
    }
}
