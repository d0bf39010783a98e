//! Proposes JHE patients who may be the same person as a local patient. An operator confirms the match.

use std::collections::BTreeMap;

use crate::model::{jhe_consents::JhePatient, patient::OwUser};
use crate::store::people::patient::Patient;

/// The evidence for a proposal, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchReason {
    /// The local patient's linked OW user is also the OW user of the JHE patient.
    OwUser,
    Email,
    Name,
}

impl MatchReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwUser => "the same OW user",
            Self::Email => "the same e-mail",
            Self::Name => "the same name",
        }
    }
}

/// A patient of JHE who may be the local patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchProposal {
    pub jhe_id: i64,
    pub name: String,
    pub reason: MatchReason,
}

/// Proposes matches for a patient, the likeliest first. `ow_users` maps a JHE patient's number to their OW
/// user.
pub fn propose(
    patient: &Patient,
    candidates: &[JhePatient],
    ow_users: &BTreeMap<i64, OwUser>,
) -> Vec<MatchProposal> {
    let mut proposals: Vec<MatchProposal> = candidates
        .iter()
        .filter_map(|candidate| {
            let reason = find_reason(patient, candidate, ow_users.get(&candidate.id))?;
            Some(MatchProposal { jhe_id: candidate.id, name: candidate.name(), reason })
        })
        .collect();
    proposals.sort_by_key(|proposal| (proposal.reason, proposal.jhe_id));
    proposals
}

fn find_reason(patient: &Patient, candidate: &JhePatient, ow_user: Option<&OwUser>) -> Option<MatchReason> {
    let linked = patient.link.as_ref().map(|link| &link.ow_user);
    if linked.is_some() && linked == ow_user {
        return Some(MatchReason::OwUser);
    }
    let email = |email: &Option<String>| email.as_deref().map(normalize).filter(|email| !email.is_empty());
    if email(&patient.email).is_some() && email(&patient.email) == email(&candidate.email) {
        return Some(MatchReason::Email);
    }
    (normalize(&patient.name) == normalize(&candidate.name())).then_some(MatchReason::Name)
}

/// Converts to lower case and collapses white space.
fn normalize(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::patient::PatientId;
    use crate::store::people::patient::OwLink;

    const USER: &str = "009edd1e-49f6-4e35-a7b9-952f45e501e9";

    fn patient(name: &str, email: Option<&str>) -> Patient {
        Patient {
            id: PatientId::new(1),
            name: name.into(),
            email: email.map(str::to_owned),
            time_zone: "UTC".into(),
            jhe_id: None,
            subject: None,
            link: USER.parse().ok().map(|ow_user| OwLink { ow_user, needs_relink: false }),
        }
    }

    fn people() -> Vec<JhePatient> {
        let person = |id: i64, given: &str, email: &str| {
            let text = format!(
                r#"{{"id":{id},"jheUserId":{},"nameGiven":"{given}","nameFamily":"Doe","telecomEmail":{email}}}"#,
                id - 30000
            );
            serde_json::from_str(&text).unwrap()
        };
        vec![
            person(40001, "Ada", "null"),
            person(40002, "Bea", r#""ada@example.org""#),
            person(40003, "Cy", r#""""#),
        ]
    }

    #[test]
    fn an_ow_user_outranks_an_email_and_an_email_outranks_a_name() {
        let ow_users = BTreeMap::from([(40003, USER.parse().unwrap())]);
        let found = propose(&patient(" ada  DOE", Some("Ada@Example.org")), &people(), &ow_users);
        let found: Vec<(i64, MatchReason)> = found.iter().map(|one| (one.jhe_id, one.reason)).collect();
        assert_eq!(
            found,
            [(40003, MatchReason::OwUser), (40002, MatchReason::Email), (40001, MatchReason::Name)]
        );
    }

    #[test]
    fn nothing_in_common_is_no_proposal() {
        assert_eq!(propose(&patient("Eve", None), &people(), &BTreeMap::new()), []);
        assert_eq!(propose(&patient("Eve", Some("")), &people(), &BTreeMap::new()), []);
        let unlinked = Patient { link: None, ..patient("Eve", None) };
        assert_eq!(propose(&unlinked, &people(), &BTreeMap::new()), []);
    }
}
