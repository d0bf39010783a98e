//! The enrolment stage of a patient: from added, through invited and consented, to connected.

use crate::model::participant::ParticipantState;
use crate::store::{operations::patient_status::PatientOverview, people::device_connection::ConnectionState};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentStage {
    Added,
    /// Has an open invitation.
    Invited,
    /// Consented, without a connected device.
    Consented,
    /// Started an authorization at the provider and has not finished it.
    Authorizing,
    /// Consented and connected: data arrive.
    Connected,
    /// OW no longer has the linked user.
    NeedsRelink,
    /// Withdrew every consent.
    Withdrawn,
    /// The collection windows of all studies are over.
    Completed,
}

impl EnrolmentStage {
    pub fn of(patient: &PatientOverview) -> Self {
        let has_consent =
            patient.scopes.iter().flat_map(|(_, grants)| grants).any(|grant| grant.withdrawn.is_none());
        let has_device = |state| patient.devices.iter().any(|device| device.state == state);
        match patient {
            _ if patient.scopes.is_empty() && patient.invited => Self::Invited,
            _ if patient.scopes.is_empty() => Self::Added,
            _ if !has_consent => Self::Withdrawn,
            PatientOverview { completed: true, .. } => Self::Completed,
            PatientOverview { needs_relink: true, .. } => Self::NeedsRelink,
            PatientOverview { link: None, .. } => Self::Consented,
            _ if has_device(ConnectionState::Active) => Self::Connected,
            _ if has_device(ConnectionState::Authorizing) => Self::Authorizing,
            // Linked on the command line: OW has not listed the devices yet.
            _ if patient.devices.is_empty() && patient.newest.is_some() => Self::Connected,
            _ => Self::Consented,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Invited => "invited",
            Self::Consented => "consented",
            Self::Authorizing => "authorizing",
            Self::Connected => "connected",
            Self::NeedsRelink => "needs relink",
            Self::Withdrawn => "withdrawn",
            Self::Completed => "completed",
        }
    }

    /// Returns the state as the lists of a study name it; `is_silent` says whether the patient is among the silent ones.
    pub fn participant_state(self, is_silent: bool) -> ParticipantState {
        match self {
            Self::Withdrawn => ParticipantState::Withdrawn,
            Self::Completed => ParticipantState::Completed,
            Self::Invited => ParticipantState::Invited,
            Self::Added => ParticipantState::NotInvited,
            _ if is_silent || self == Self::NeedsRelink => ParticipantState::Silent,
            Self::Connected => ParticipantState::Sending,
            _ => ParticipantState::Agreed,
        }
    }

    /// Returns the next step for the practitioner; empty if there is none.
    pub fn next_step(self, patient: &PatientOverview) -> &'static str {
        match self {
            Self::Added if patient.enrolled => "Invite the patient",
            Self::Added => "Enrol the patient in a study, then invite",
            Self::Invited => "Waits for the patient to open the link",
            Self::Consented => "Waits for the patient to connect a device; invite again if it takes long",
            Self::Authorizing => {
                "Waits for the patient to finish at the provider; invite again if it takes long"
            }
            Self::Connected | Self::Completed => "",
            Self::NeedsRelink => "OW no longer knows the user: invite again, so that the patient reconnects",
            Self::Withdrawn => {
                "Consent withdrawn: nothing is fetched. Invite again only if the patient asks for it"
            }
        }
    }
}

/// Describes the problem with a patient's data, if any: the last error, or samples missing here.
pub fn describe_problem(patient: &PatientOverview) -> Option<String> {
    let missing = (patient.missing > 0).then(|| {
        format!(
            "Samples are missing: OW counts {} more than are stored here; see the rejected samples",
            patient.missing
        )
    });
    patient.error.clone().or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::consent_intervals::Grant;
    use crate::model::patient::PatientId;
    use crate::store::people::device_connection::DeviceConnection;

    fn line(consents: &[Option<i64>], link: bool, device: Option<ConnectionState>) -> PatientOverview {
        let at = Timestamp::from_micros;
        let grants = consents
            .iter()
            .map(|end| Grant { granted: at(0), withdrawn: end.map(at), covers_from: None })
            .collect();
        let scopes =
            if consents.is_empty() { Vec::new() } else { vec![("omh:heart-rate:2.0".into(), grants)] };
        let device = device.map(|state| DeviceConnection { provider: "oura".into(), state, changed: at(0) });
        PatientOverview {
            time_zone: "UTC".into(),
            contradicting_offset: None,
            patient: PatientId::new(1),
            name: "A".into(),
            link: link.then(|| "ow:x".into()),
            needs_relink: false,
            scopes,
            newest: None,
            polled: None,
            error: None,
            empty_polls: 0,
            last_day: 0,
            missing: 0,
            invited: false,
            completed: false,
            enrolled: false,
            devices: device.into_iter().collect(),
            hours: Vec::new(),
        }
    }

    #[test]
    fn an_enrolled_patient_is_to_be_invited() {
        let added = line(&[], false, None);
        assert!(EnrolmentStage::Added.next_step(&added).starts_with("Enrol"));
        assert_eq!(
            EnrolmentStage::Added.next_step(&PatientOverview { enrolled: true, ..added }),
            "Invite the patient"
        );
    }

    #[test]
    fn the_stage_follows_consents_link_and_devices() {
        let open = [None];
        assert_eq!(EnrolmentStage::of(&line(&[], false, None)), EnrolmentStage::Added);
        assert_eq!(
            EnrolmentStage::of(&PatientOverview { invited: true, ..line(&[], false, None) }),
            EnrolmentStage::Invited
        );
        assert_eq!(EnrolmentStage::of(&line(&open, false, None)), EnrolmentStage::Consented);
        assert_eq!(
            EnrolmentStage::of(&line(&open, true, Some(ConnectionState::Authorizing))),
            EnrolmentStage::Authorizing
        );
        assert_eq!(
            EnrolmentStage::of(&line(&open, true, Some(ConnectionState::Active))),
            EnrolmentStage::Connected
        );
        let by_hand = PatientOverview { newest: Some(Timestamp::from_micros(0)), ..line(&open, true, None) };
        assert_eq!(EnrolmentStage::of(&by_hand), EnrolmentStage::Connected);
        assert_eq!(
            EnrolmentStage::of(&line(&open, true, None)),
            EnrolmentStage::Consented,
            "a link alone brings nothing"
        );
        assert_eq!(
            EnrolmentStage::of(&line(&open, true, Some(ConnectionState::Ended))),
            EnrolmentStage::Consented
        );
        let gone = PatientOverview { needs_relink: true, ..line(&open, true, Some(ConnectionState::Active)) };
        assert_eq!(EnrolmentStage::of(&gone), EnrolmentStage::NeedsRelink);
        let completed =
            PatientOverview { completed: true, ..line(&open, true, Some(ConnectionState::Active)) };
        assert_eq!(EnrolmentStage::of(&completed), EnrolmentStage::Completed);
        let withdrawn = line(&[Some(1)], true, Some(ConnectionState::Active));
        assert_eq!(
            EnrolmentStage::of(&PatientOverview { invited: true, ..withdrawn }),
            EnrolmentStage::Withdrawn
        );
        assert_eq!(
            EnrolmentStage::of(&line(&[Some(1), None], true, Some(ConnectionState::Active))),
            EnrolmentStage::Connected
        );
    }
}
