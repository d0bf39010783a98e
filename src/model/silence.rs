//! Detects silent patients and their likely cause from stored data alone. The definition of "silent".

use std::time::Duration;

use crate::common::time::Timestamp;

/// The state of a patient with a link to an OW user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStatus {
    /// Time of the newest stored sample.
    pub newest: Option<Timestamp>,
    pub linked: Timestamp,
    pub is_known_at_ow: bool,
    /// True if a device delivers a scope with an active consent.
    pub has_consent: bool,
    pub devices: DeviceStatus,
    /// The last sync that read everything.
    pub last_complete_read: Option<Timestamp>,
    /// Syncs since then that failed at OW.
    pub failures: i64,
    /// OW's last fetch from the provider, if OW pulls and has said so.
    pub last_pull: Option<Timestamp>,
    /// Time at which `last_pull` was last refreshed.
    pub pull_checked: Option<Timestamp>,
}

/// The state of a patient's best device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStatus {
    /// No device is known: the patient was linked by hand, or OW was not asked yet.
    Unknown,
    /// The patient is signing in at the provider for the first time.
    Authorizing,
    /// A device is connected since this time.
    Active(Timestamp),
    /// No device is connected any more.
    Ended,
}

/// The silence of one patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Time of the newest sample; without one, the time from which samples were possible.
    pub since: Timestamp,
    pub cause: SilenceCause,
}

/// The likely cause of a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceCause {
    /// The patient has no active consent.
    ConsentWithdrawn,
    /// OW no longer knows the linked user.
    UserGone,
    /// The patient or the provider ended the connection.
    LinkRevoked,
    /// OW fails or does not answer.
    OwDown,
    /// The daemon has not read: it was stopped, switched off, or JHE did not answer.
    NotRead,
    /// OW answers but fetches nothing from the provider.
    OwNotPulling,
    /// Everything works. The device is not worn, not charged or not synced.
    NotWorn,
}

impl SilenceCause {
    /// Every cause, in the order of the checks.
    pub const ALL: &[Self] = &[
        Self::ConsentWithdrawn,
        Self::UserGone,
        Self::LinkRevoked,
        Self::OwDown,
        Self::NotRead,
        Self::OwNotPulling,
        Self::NotWorn,
    ];

    /// Returns the name in the database, in metrics and in alerts.
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

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == name)
    }

    /// Returns a description for pages.
    pub fn label(self) -> &'static str {
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

    /// Returns advice for the coordinator.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ConsentWithdrawn => {
                "Nothing is read any more. Invite again only if the patient asks for it."
            }
            Self::UserGone => "OW no longer knows the user: invite again, so that the patient reconnects.",
            Self::LinkRevoked => {
                "The provider's account is no longer connected: invite again, so that the patient reconnects."
            }
            Self::OwDown => {
                "OW fails or does not answer: check that it runs. Its data are read once it does."
            }
            Self::NotRead => {
                "The daemon has not read: check on the page System whether polling is on, how the last sync \
                 ended, and whether JHE answers, which is asked for consents first."
            }
            Self::OwNotPulling => {
                "OW answers but has not fetched from the provider: check that its worker and scheduler \
                 (celery, beat) run."
            }
            Self::NotWorn => {
                "Everything else works: ask the patient to wear and charge the device, and to open its app \
                 so that it syncs."
            }
        }
    }
}

/// Detects a silence: the newest sample is at least `after` old. A problem younger than half of that, such as
/// an hour without OW, does not count as the cause.
pub fn detect(status: &LinkStatus, after: Duration, now: Timestamp) -> Option<Silence> {
    let since = match (status.newest, status.devices) {
        (Some(newest), _) => newest,
        // The enrolment stage shows a patient who never came back from the provider.
        (None, DeviceStatus::Authorizing) => return None,
        (None, DeviceStatus::Active(connected)) => connected.max(status.linked),
        (None, DeviceStatus::Unknown | DeviceStatus::Ended) => status.linked,
    };
    if since.plus(after) > now {
        return None;
    }
    Some(Silence { since, cause: find_cause(status, since, after / 2, now) })
}

fn find_cause(status: &LinkStatus, since: Timestamp, recent: Duration, now: Timestamp) -> SilenceCause {
    let is_old = |at: Option<Timestamp>| at.unwrap_or(since).plus(recent) <= now;
    match status {
        LinkStatus { has_consent: false, .. } => SilenceCause::ConsentWithdrawn,
        LinkStatus { is_known_at_ow: false, .. } => SilenceCause::UserGone,
        LinkStatus { devices: DeviceStatus::Ended | DeviceStatus::Authorizing, .. } => {
            SilenceCause::LinkRevoked
        }
        // A failed sync also leaves `last_complete_read` old, so OW is blamed before the daemon.
        _ if is_old(status.last_complete_read) && status.failures > 0 => SilenceCause::OwDown,
        _ if is_old(status.last_complete_read) => SilenceCause::NotRead,
        // `last_pull` is empty for providers that push to OW, and before the first refresh.
        LinkStatus { last_pull: Some(pulled), pull_checked: Some(checked), .. }
            if pulled.plus(recent) <= *checked =>
        {
            SilenceCause::OwNotPulling
        }
        _ => SilenceCause::NotWorn,
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

    /// A patient without problems whose newest sample is 30 hours old.
    fn quiet() -> LinkStatus {
        let before = |hours: u32| now().minus(HOUR * hours);
        LinkStatus {
            newest: Some(before(30)),
            linked: before(500),
            is_known_at_ow: true,
            has_consent: true,
            devices: DeviceStatus::Active(before(500)),
            last_complete_read: Some(before(0)),
            failures: 0,
            last_pull: Some(before(1)),
            pull_checked: Some(before(0)),
        }
    }

    fn found(known: &LinkStatus) -> Option<SilenceCause> {
        detect(known, AFTER, now()).map(|silence| silence.cause)
    }

    #[test]
    fn a_patient_without_a_recent_sample_is_silent() {
        assert_eq!(detect(&quiet(), AFTER, now()).unwrap().since, now().minus(HOUR * 30));
        assert_eq!(found(&LinkStatus { newest: Some(now().minus(HOUR * 23)), ..quiet() }), None);
        assert_eq!(detect(&quiet(), HOUR * 31, now()), None);
    }

    #[test]
    fn without_any_sample_the_silence_begins_when_samples_were_possible() {
        let linked = LinkStatus { newest: None, ..quiet() };
        assert_eq!(detect(&linked, AFTER, now()).unwrap().since, linked.linked);
        let fresh = LinkStatus { devices: DeviceStatus::Active(now().minus(HOUR)), ..linked };
        assert_eq!(found(&fresh), None, "connected an hour ago");
        assert_eq!(found(&LinkStatus { linked: now().minus(HOUR), ..linked }), None, "linked an hour ago");
        assert_eq!(
            found(&LinkStatus { devices: DeviceStatus::Authorizing, ..linked }),
            None,
            "not connected yet"
        );
        assert_eq!(
            found(&LinkStatus { devices: DeviceStatus::Unknown, ..linked }),
            Some(SilenceCause::NotWorn)
        );
    }

    #[test]
    fn each_cause_is_recognised() {
        let old = Some(now().minus(HOUR * 13));
        for (known, cause) in [
            (quiet(), SilenceCause::NotWorn),
            (
                LinkStatus { has_consent: false, is_known_at_ow: false, ..quiet() },
                SilenceCause::ConsentWithdrawn,
            ),
            (LinkStatus { is_known_at_ow: false, ..quiet() }, SilenceCause::UserGone),
            (LinkStatus { devices: DeviceStatus::Ended, ..quiet() }, SilenceCause::LinkRevoked),
            (LinkStatus { last_complete_read: old, failures: 5, ..quiet() }, SilenceCause::OwDown),
            (LinkStatus { last_complete_read: old, ..quiet() }, SilenceCause::NotRead),
            (LinkStatus { last_pull: old, ..quiet() }, SilenceCause::OwNotPulling),
        ] {
            assert_eq!(found(&known), Some(cause), "{known:?}");
        }
    }

    #[test]
    fn what_began_lately_is_not_the_cause() {
        let lately = Some(now().minus(HOUR * 11));
        assert_eq!(
            found(&LinkStatus { last_complete_read: lately, failures: 5, ..quiet() }),
            Some(SilenceCause::NotWorn)
        );
        assert_eq!(found(&LinkStatus { last_pull: lately, ..quiet() }), Some(SilenceCause::NotWorn));
    }

    #[test]
    fn an_old_check_of_the_last_pull_proves_nothing() {
        let (pull_checked, last_pull) = (Some(now().minus(HOUR * 20)), Some(now().minus(HOUR * 21)));
        assert_eq!(found(&LinkStatus { last_pull, pull_checked, ..quiet() }), Some(SilenceCause::NotWorn));
    }

    #[test]
    fn a_cause_has_one_name() {
        for &cause in SilenceCause::ALL {
            assert_eq!(SilenceCause::parse(cause.as_str()), Some(cause));
        }
        assert_eq!(SilenceCause::parse("bored"), None);
    }
}
