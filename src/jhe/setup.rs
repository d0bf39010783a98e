//! Whether JHE is set up for this daemon: what is missing there, each in a sentence with its remedy.

use serde::Deserialize;

use super::http::read;
use super::{Jhe, JheError, Who, invitation_url};
use crate::account::Role;
use crate::catalog::{CODES, Code, DATA_SOURCES, SERIES};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    user_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scope {
    coding_code: String,
}

/// What JHE was found to have.
#[derive(Debug, Default)]
struct Seen {
    user_type: String,
    patients: usize,
    /// Whether the practitioner only looks on in some organization.
    is_viewer: bool,
    data_sources: Vec<String>,
    codes: Vec<String>,
    has_client: bool,
}

impl Jhe {
    /// Looks whether everything is there that the daemon at `public_base` needs; answers what is not. Nothing is
    /// changed at JHE.
    pub async fn examine(&self, public_base: &str) -> Vec<String> {
        match self.survey(public_base).await {
            Ok(seen) => findings(&seen, public_base),
            Err(error) => vec![trouble(&error)],
        }
    }

    async fn survey(&self, public_base: &str) -> Result<Seen, JheError> {
        let profile = self.http.url(&["api", "v1", "users", "profile"])?;
        let profile: Profile = read(&self.get(Who::Daemon, profile).await?)?;
        let scopes = self.http.url(&["api", "v1", "data_sources", "all_scopes"])?;
        let scopes: Vec<Scope> = read(&self.get(Who::Daemon, scopes).await?)?;
        Ok(Seen {
            user_type: profile.user_type.unwrap_or_default(),
            patients: self.patients().await?.len(),
            is_viewer: self.memberships(Who::Daemon).await?.iter().any(|one| one.role == Role::Viewer),
            data_sources: self.data_sources().await?.into_iter().map(|(name, _)| name).collect(),
            codes: scopes.into_iter().map(|scope| scope.coding_code).collect(),
            has_client: self.inviting_client(public_base).await?.is_some(),
        })
    }
}

fn trouble(error: &JheError) -> String {
    let next = match error {
        JheError::Unauthorized(_) => return error.to_string(),
        JheError::Later { .. } | JheError::Silent(_) => {
            "see that JHE runs, and that JHE_BASE_URL is its address, with the right certificate"
        }
        JheError::Forbidden(_) => "see that the client key is a practitioner's",
        _ => "see that JHE_BASE_URL is JHE's own address",
    };
    format!("{error}; {next}")
}

fn findings(seen: &Seen, public_base: &str) -> Vec<String> {
    let mut findings = Vec::new();
    // One who was made over JHE's API has no type, and is a practitioner all the same: patients have theirs.
    if !matches!(seen.user_type.as_str(), "practitioner" | "") {
        findings.push(format!(
            "the client key is not a practitioner's (JHE calls its owner '{}'): have a practitioner make one",
            seen.user_type
        ));
    } else if seen.patients == 0 {
        findings.push(
            "the practitioner of the client key shares no organization with any patient: make the practitioner a \
             member of each organization that takes part"
                .to_owned(),
        );
    }
    if seen.is_viewer {
        findings.push(
            "the practitioner of the client key is a viewer in an organization: make it a member, so that a patient \
             whose own sign-in at JHE has ended can still withdraw"
                .to_owned(),
        );
    }
    let lists = |names: &[String], name: &str| names.iter().any(|known| known == name);
    if !DATA_SOURCES.iter().any(|source| lists(&seen.data_sources, source.name)) {
        let names: Vec<&str> = DATA_SOURCES.iter().map(|source| source.name).collect();
        findings.push(format!(
            "JHE has none of the data sources that OW knows ({}): add those that your patients wear there, and attach \
             them to the study",
            names.join(", ")
        ));
    }
    for code in
        CODES.iter().filter(|code| code.is_of_jhe && is_ingested(code) && !lists(&seen.codes, code.code))
    {
        findings.push(format!("JHE has no code '{}': have its seed run", code.code));
    }
    if !seen.has_client {
        findings.push(format!(
            "JHE has no client whose invitations lead here: have a superuser make one with the invitationUrl {}",
            invitation_url(public_base)
        ));
    }
    findings
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
            is_viewer: false,
            data_sources: vec!["CareX".into(), "Oura".into()],
            codes: CODES.iter().map(|code| code.code.to_owned()).collect(),
            has_client: true,
        }
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
