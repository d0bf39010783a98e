//! How far a patient has come, from the invitation to data that arrives.

use crate::store::operations::patient_status::Line;
use crate::store::people::device_connection::State;

/// How far a patient has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Added, and nothing more.
    Added,
    /// Has a link to open.
    Invited,
    /// Agreed, and has connected nothing yet.
    Consented,
    /// Was sent to the provider and has not come back.
    Authorizing,
    /// Agreed and connected: data arrive.
    Connected,
    /// OW no longer knows the user behind the link.
    NeedsRelink,
    /// Agreed once, and to nothing any more.
    Withdrawn,
}

impl Stage {
    /// How far the patient of this line has come.
    pub fn of(line: &Line) -> Self {
        let stands = line.scopes.iter().flat_map(|(_, grants)| grants).any(|grant| grant.withdrawn.is_none());
        let device = |state| line.devices.iter().any(|device| device.state == state);
        match line {
            _ if line.scopes.is_empty() && line.invited => Self::Invited,
            _ if line.scopes.is_empty() => Self::Added,
            _ if !stands => Self::Withdrawn,
            Line { needs_relink: true, .. } => Self::NeedsRelink,
            Line { link: None, .. } => Self::Consented,
            _ if device(State::Active) => Self::Connected,
            _ if device(State::Authorizing) => Self::Authorizing,
            // Linked on the command line, and not asked for devices yet.
            _ if line.devices.is_empty() && line.newest.is_some() => Self::Connected,
            _ => Self::Consented,
        }
    }

    /// As the pages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Invited => "invited",
            Self::Consented => "consented",
            Self::Authorizing => "authorizing",
            Self::Connected => "connected",
            Self::NeedsRelink => "needs relink",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What a practitioner can do about it, for the patient of this line.
    pub fn next(self, line: &Line) -> &'static str {
        match self {
            Self::Added if line.enrolled => "Invite the patient",
            Self::Added => "Enrol the patient in a study, then invite",
            Self::Invited => "Waits for the patient to open the link",
            Self::Consented => "Waits for the patient to connect a device; invite again if it takes long",
            Self::Authorizing => {
                "Waits for the patient to finish at the provider; invite again if it takes long"
            }
            Self::Connected => "",
            Self::NeedsRelink => "OW no longer knows the user: invite again, so that the patient reconnects",
            Self::Withdrawn => "Not polled; invite again only if the patient asks for it",
        }
    }
}

/// What is wrong with a patient's data, and what to do about it, in a sentence.
pub fn trouble(line: &Line) -> Option<String> {
    let missing = (line.missing > 0)
        .then(|| format!("OW counts {} more than are kept here; see the rejected samples", line.missing));
    line.error.clone().or(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::consent_intervals::Grant;
    use crate::model::patient::PatientId;
    use crate::store::people::device_connection::Device;

    fn line(consents: &[Option<i64>], link: bool, device: Option<State>) -> Line {
        let at = Timestamp::from_micros;
        let grants = consents.iter().map(|end| Grant { granted: at(0), withdrawn: end.map(at) }).collect();
        let scopes =
            if consents.is_empty() { Vec::new() } else { vec![("omh:heart-rate:2.0".into(), grants)] };
        let device = device.map(|state| Device { provider: "oura".into(), state, changed: at(0) });
        Line {
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
            enrolled: false,
            devices: device.into_iter().collect(),
            hours: Vec::new(),
        }
    }

    #[test]
    fn who_is_enrolled_is_not_to_be_enrolled() {
        let added = line(&[], false, None);
        assert!(Stage::Added.next(&added).starts_with("Enrol"));
        assert_eq!(Stage::Added.next(&Line { enrolled: true, ..added }), "Invite the patient");
    }

    #[test]
    fn every_step_of_the_way_has_its_stage() {
        let stands = [None];
        assert_eq!(Stage::of(&line(&[], false, None)), Stage::Added);
        assert_eq!(Stage::of(&Line { invited: true, ..line(&[], false, None) }), Stage::Invited);
        assert_eq!(Stage::of(&line(&stands, false, None)), Stage::Consented);
        assert_eq!(Stage::of(&line(&stands, true, Some(State::Authorizing))), Stage::Authorizing);
        assert_eq!(Stage::of(&line(&stands, true, Some(State::Active))), Stage::Connected);
        let by_hand = Line { newest: Some(Timestamp::from_micros(0)), ..line(&stands, true, None) };
        assert_eq!(Stage::of(&by_hand), Stage::Connected);
        assert_eq!(Stage::of(&line(&stands, true, None)), Stage::Consented, "a link alone brings nothing");
        assert_eq!(Stage::of(&line(&stands, true, Some(State::Ended))), Stage::Consented);
        let gone = Line { needs_relink: true, ..line(&stands, true, Some(State::Active)) };
        assert_eq!(Stage::of(&gone), Stage::NeedsRelink);
        let withdrawn = line(&[Some(1)], true, Some(State::Active));
        assert_eq!(Stage::of(&Line { invited: true, ..withdrawn }), Stage::Withdrawn);
        assert_eq!(Stage::of(&line(&[Some(1), None], true, Some(State::Active))), Stage::Connected);
    }
}
