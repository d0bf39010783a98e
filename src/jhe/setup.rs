//! Whether JHE is set up for this daemon: what is missing there, each in a sentence with its remedy.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;

use crate::common::time::Timestamp;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::read;
use crate::jhe::invitation::invitation_url;
use crate::model::account::Role;
use crate::model::catalog::code::{CODES, Code, HEART_RATE};
use crate::model::catalog::series::SERIES;
use crate::model::catalog::source::DATA_SOURCES;
use crate::model::data_source_names::Naming;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    user_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scope {
    coding_code: String,
}

/// What JHE was found to have.
#[derive(Debug, Default)]
struct Seen {
    user_type: String,
    patients: usize,
    organizations: usize,
    /// Whether the practitioner only looks on in some organization.
    is_viewer: bool,
    /// By our names.
    data_sources: Vec<String>,
    codes: Vec<String>,
    has_client: bool,
}

/// What JHE was found to be like for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Patients within reach.
    pub patients: usize,
    /// Organizations that the practitioner of the client key belongs to.
    pub organizations: usize,
    /// What is missing.
    pub lacks: Vec<Lack>,
}

/// Something that JHE lacks for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Names the kind of it, for programs: `jhe.client`, `jhe.reach`, `jhe.role`, `jhe.source`, `jhe.code`, `jhe.invitation`.
    pub id: &'static str,
    /// What is missing.
    pub what: String,
    /// What to do.
    pub next: String,
    /// Whether no data reach JHE for as long as it is missing.
    pub stops: bool,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.next)
    }
}

impl Jhe {
    /// Looks whether everything is there that the daemon at `public_base` needs, data sources under the names that JHE
    /// gives them; answers what is not. Nothing is changed at JHE.
    pub async fn examine(&self, public_base: &str, naming: &Naming) -> Vec<String> {
        match self.survey(public_base, naming).await {
            Ok(survey) => survey.lacks.iter().map(ToString::to_string).collect(),
            Err(error) => {
                let next = error.next();
                vec![if next.is_empty() { error.to_string() } else { format!("{error}; {next}") }]
            }
        }
    }

    /// As [`Jhe::examine`], in parts.
    ///
    /// # Errors
    /// Where JHE cannot be asked, or does not let us; [`JheError::next`] says what to do then.
    pub async fn survey(&self, public_base: &str, naming: &Naming) -> Result<Survey, JheError> {
        let seen = self.look_around(public_base, naming).await?;
        let lacks = lacks(&seen, public_base);
        Ok(Survey { patients: seen.patients, organizations: seen.organizations, lacks })
    }

    /// What JHE's clock reads, to the second; none where it does not say. Asks for what it tells everybody.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn clock(&self) -> Result<Option<Timestamp>, JheError> {
        let url = self.http.url(&["FHIR", "R5", "metadata"])?;
        Ok(self.http.ask(Method::GET, url, None, None).await?.clock)
    }

    async fn look_around(&self, public_base: &str, naming: &Naming) -> Result<Seen, JheError> {
        let profile = self.http.url(&["api", "v1", "users", "profile"])?;
        let profile: Profile = read(&self.get(Who::Daemon, profile).await?)?;
        let scopes = self.http.url(&["api", "v1", "data_sources", "all_scopes"])?;
        let scopes: Vec<Scope> = read(&self.get(Who::Daemon, scopes).await?)?;
        let memberships = self.memberships(Who::Daemon).await?;
        let data_sources = self.data_sources().await?;
        Ok(Seen {
            user_type: profile.user_type.unwrap_or_default(),
            patients: self.count_patients().await?,
            organizations: memberships.len(),
            is_viewer: memberships.iter().any(|one| one.role == Role::Viewer),
            data_sources: data_sources.iter().map(|(name, _)| naming.of_jhe(name).to_owned()).collect(),
            codes: scopes.into_iter().map(|scope| scope.coding_code).collect(),
            has_client: self.inviting_client(public_base).await?.is_some(),
        })
    }
}

impl JheError {
    /// What to do about it, for whoever sets JHE up; empty where the error says so itself.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "",
            Self::Later { .. } | Self::Silent(_) => {
                "see that JHE runs, and that JHE_BASE_URL is its address, with the right certificate"
            }
            Self::Forbidden(_) => "see that the client key is a practitioner's",
            _ => "see that JHE_BASE_URL is JHE's own address",
        }
    }

    /// As [`JheError::next`], where the question was about one patient.
    pub fn next_of_patient(&self) -> &'static str {
        match self {
            Self::Forbidden(_) | Self::NotFound(_) => {
                "see that the number is right, and that the practitioner of the key shares an organization with the \
                 patient"
            }
            other => other.next(),
        }
    }
}

fn lacks(seen: &Seen, public_base: &str) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut lack = |id, stops, what: String, next: String| lacks.push(Lack { id, what, next, stops });
    // One who was made over JHE's API has no type, and is a practitioner all the same: patients have theirs.
    if !matches!(seen.user_type.as_str(), "practitioner" | "") {
        lack(
            "jhe.client",
            true,
            format!("the client key is not a practitioner's (JHE calls its owner '{}')", seen.user_type),
            "have a practitioner make one".to_owned(),
        );
    } else if seen.patients == 0 {
        lack(
            "jhe.reach",
            true,
            "the practitioner of the client key shares no organization with any patient".to_owned(),
            "make the practitioner a member of each organization that takes part".to_owned(),
        );
    }
    if seen.is_viewer {
        lack(
            "jhe.role",
            false,
            "the practitioner of the client key is a viewer in an organization".to_owned(),
            "make it a member, so that a patient whose own sign-in at JHE has ended can still withdraw"
                .to_owned(),
        );
    }
    let lists = |names: &[String], name: &str| names.iter().any(|known| known == name);
    if !DATA_SOURCES.iter().any(|source| lists(&seen.data_sources, source.name)) {
        let names: Vec<&str> = DATA_SOURCES.iter().map(|source| source.name).collect();
        lack(
            "jhe.source",
            true,
            format!("JHE has none of the data sources that OW knows ({})", names.join(", ")),
            "add those that your patients wear there, and attach them to the study; or say with the setting \
             jhe.data_sources what they are called there"
                .to_owned(),
        );
    }
    for code in
        CODES.iter().filter(|code| code.is_of_jhe && is_ingested(code) && !lists(&seen.codes, code.code))
    {
        // Where another is missing, JHE is older than it, and takes what it has codes for.
        let stops = code.code == HEART_RATE;
        let what = format!("JHE has no code '{}'", code.code);
        lack("jhe.code", stops, what, "have its seed run".to_owned());
    }
    if !seen.has_client {
        lack(
            "jhe.invitation",
            false,
            "JHE has no client whose invitations lead here".to_owned(),
            format!("have a superuser make one with the invitationUrl {}", invitation_url(public_base)),
        );
    }
    lacks
}

fn is_ingested(code: &Code) -> bool {
    SERIES.iter().any(|series| series.code == code.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Seen {
        Seen {
            user_type: "practitioner".into(),
            patients: 2,
            organizations: 1,
            is_viewer: false,
            data_sources: vec!["CareX".into(), "Oura".into()],
            codes: CODES.iter().map(|code| code.code.to_owned()).collect(),
            has_client: true,
        }
    }

    fn findings(seen: &Seen, public_base: &str) -> Vec<String> {
        lacks(seen, public_base).iter().map(ToString::to_string).collect()
    }

    fn only(seen: &Seen) -> String {
        let findings = findings(seen, "https://jhe-ow.example.org");
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0].clone()
    }

    #[test]
    fn each_thing_that_is_missing_has_its_remedy() {
        assert_eq!(findings(&well(), "https://jhe-ow.example.org"), Vec::<String>::new());
        assert!(only(&Seen { user_type: "patient".into(), ..well() }).contains("practitioner make one"));
        assert!(only(&Seen { patients: 0, ..well() }).contains("member of each organization"));
        assert!(only(&Seen { is_viewer: true, ..well() }).contains("make it a member"));
        assert!(only(&Seen { data_sources: vec!["CareX".into()], ..well() }).contains("(Oura, Garmin, "));
        let without = |code: &str| well().codes.into_iter().filter(|known| known != code).collect();
        assert!(
            only(&Seen { codes: without("omh:heart-rate:2.0"), ..well() })
                .contains("'omh:heart-rate:2.0': have its seed run")
        );
        let codes = without("omh:body-height:2.0");
        assert_eq!(findings(&Seen { codes, ..well() }, "https://jhe-ow.example.org"), Vec::<String>::new());
        let here = "https://jhe-ow.example.org/clients/ow/launch?code=CODE";
        assert!(only(&Seen { has_client: false, ..well() }).ends_with(here));
    }
}
