//! Who of JHE's patients a patient may be who was kept here before JHE was there: proposals, for somebody to
//! confirm. Pure.

use std::collections::BTreeMap;

use crate::model::jhe_consents::Person;
use crate::model::patient::OwUser;
use crate::store::people::patient::Patient;

/// What speaks for a proposal, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// OW knows the linked user by JHE's number of this patient's user.
    OwUser,
    /// The same e-mail address.
    Email,
    /// The same name.
    Name,
}

impl Reason {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwUser => "the same OW user",
            Self::Email => "the same e-mail",
            Self::Name => "the same name",
        }
    }
}

/// A patient of JHE's who may be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// JHE's number.
    pub jhe_id: i64,
    /// The name at JHE.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Who of `people` this patient may be, the likeliest first. `ow_users` are the OW users by JHE's number of the
/// patient, as far as OW has them.
pub fn propose(patient: &Patient, people: &[Person], ow_users: &BTreeMap<i64, OwUser>) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = people
        .iter()
        .filter_map(|person| {
            let reason = reason(patient, person, ow_users.get(&person.id))?;
            Some(Proposal { jhe_id: person.id, name: person.name(), reason })
        })
        .collect();
    proposals.sort_by_key(|proposal| (proposal.reason, proposal.jhe_id));
    proposals
}

fn reason(patient: &Patient, person: &Person, ow_user: Option<&OwUser>) -> Option<Reason> {
    let linked = patient.link.as_ref().map(|link| &link.ow_user);
    if linked.is_some() && linked == ow_user {
        return Some(Reason::OwUser);
    }
    let email = |email: &Option<String>| email.as_deref().map(plain).filter(|email| !email.is_empty());
    if email(&patient.email).is_some() && email(&patient.email) == email(&person.email) {
        return Some(Reason::Email);
    }
    (plain(&patient.name) == plain(&person.name())).then_some(Reason::Name)
}

/// Without what people write now this way and now that.
fn plain(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::patient::PatientId;
    use crate::store::people::patient::Link;

    const USER: &str = "009edd1e-49f6-4e35-a7b9-952f45e501e9";

    fn patient(name: &str, email: Option<&str>) -> Patient {
        Patient {
            id: PatientId::new(1),
            name: name.into(),
            email: email.map(str::to_owned),
            time_zone: "UTC".into(),
            jhe_id: None,
            subject: None,
            link: USER.parse().ok().map(|ow_user| Link { ow_user, needs_relink: false }),
        }
    }

    fn people() -> Vec<Person> {
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
    fn the_ow_user_says_more_than_an_email_and_that_more_than_a_name() {
        let ow_users = BTreeMap::from([(40003, USER.parse().unwrap())]);
        let found = propose(&patient(" ada  DOE", Some("Ada@Example.org")), &people(), &ow_users);
        let found: Vec<(i64, Reason)> = found.iter().map(|one| (one.jhe_id, one.reason)).collect();
        assert_eq!(found, [(40003, Reason::OwUser), (40002, Reason::Email), (40001, Reason::Name)]);
    }

    #[test]
    fn nothing_in_common_is_no_proposal() {
        assert_eq!(propose(&patient("Eve", None), &people(), &BTreeMap::new()), []);
        assert_eq!(propose(&patient("Eve", Some("")), &people(), &BTreeMap::new()), []);
        let unlinked = Patient { link: None, ..patient("Eve", None) };
        assert_eq!(propose(&unlinked, &people(), &BTreeMap::new()), []);
    }
}
