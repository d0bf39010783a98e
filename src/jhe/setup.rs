//! Checks JHE's set-up for this daemon: lists what is missing there, each with its remedy. Changes nothing at
//! JHE.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;

use crate::common::time::Timestamp;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::{error::JheError, http::parse, invitation::invitation_url};
use crate::model::catalog::code::{CODES, Code, HEART_RATE};
use crate::model::catalog::{series::SERIES, source::DATA_SOURCES};
use crate::model::{account::Role, data_source_names::DataSourceNames};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyOwner {
    user_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JheScope {
    coding_code: String,
}

/// The part of JHE's state that the daemon depends on.
#[derive(Debug, Default)]
struct SetupState {
    user_type: String,
    patients: usize,
    organizations: usize,
    /// True if the practitioner is a mere viewer in some organization.
    is_viewer: bool,
    /// By our names.
    data_sources: Vec<String>,
    codes: Vec<String>,
    has_inviting_client: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupReport {
    /// Patients who share an organization with the practitioner of the client key.
    pub patients: usize,
    /// Organizations of that practitioner.
    pub organizations: usize,
    pub gaps: Vec<SetupGap>,
}

/// Something that JHE lacks for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupGap {
    /// For programs: `jhe.client`, `jhe.reach`, `jhe.role`, `jhe.source`, `jhe.code` or `jhe.invitation`.
    pub id: &'static str,
    pub message: String,
    pub remedy: String,
    /// True if no data reach JHE until it is mended.
    pub blocks_delivery: bool,
}

impl fmt::Display for SetupGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.remedy)
    }
}

impl Jhe {
    /// Returns one line per gap or error, for the log.
    pub async fn check_setup(&self, public_base: &str, names: &DataSourceNames) -> Vec<String> {
        match self.inspect_setup(public_base, names).await {
            Ok(report) => report.gaps.iter().map(ToString::to_string).collect(),
            Err(error) => {
                let remedy = error.remedy();
                vec![if remedy.is_empty() { error.to_string() } else { format!("{error}; {remedy}") }]
            }
        }
    }

    /// Checks for all that the daemon at `public_base` needs. `names` translates JHE's names of data sources.
    pub async fn inspect_setup(
        &self,
        public_base: &str,
        names: &DataSourceNames,
    ) -> Result<SetupReport, JheError> {
        let state = self.fetch_setup(public_base, names).await?;
        let gaps = find_gaps(&state, public_base);
        Ok(SetupReport { patients: state.patients, organizations: state.organizations, gaps })
    }

    /// Fetches the time of JHE's clock, to the second, from a page that needs no token.
    pub async fn fetch_clock(&self) -> Result<Option<Timestamp>, JheError> {
        let url = self.http.url(&["FHIR", "R5", "metadata"])?;
        Ok(self.http.send(Method::GET, url, None, None).await?.date)
    }

    async fn fetch_setup(&self, public_base: &str, names: &DataSourceNames) -> Result<SetupState, JheError> {
        let owner = self.http.url(&["api", "v1", "users", "profile"])?;
        let owner: KeyOwner = parse(&self.get(Caller::Daemon, owner).await?)?;
        let scopes = self.http.url(&["api", "v1", "data_sources", "all_scopes"])?;
        let scopes: Vec<JheScope> = parse(&self.get(Caller::Daemon, scopes).await?)?;
        let memberships = self.list_memberships(Caller::Daemon).await?;
        let data_sources = self.list_data_sources().await?;
        Ok(SetupState {
            user_type: owner.user_type.unwrap_or_default(),
            patients: self.count_patients().await?,
            organizations: memberships.len(),
            is_viewer: memberships.iter().any(|one| one.role == Role::Viewer),
            data_sources: data_sources.iter().map(|(name, _)| names.our_name(name).to_owned()).collect(),
            codes: scopes.into_iter().map(|scope| scope.coding_code).collect(),
            has_inviting_client: self.find_inviting_client(public_base).await?.is_some(),
        })
    }
}

impl JheError {
    /// Returns the remedy for whoever sets JHE up; empty if the error text has it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "",
            Self::Unavailable { .. } | Self::NoResponse(_) => {
                "see that JHE runs, and that JHE_BASE_URL is its address, with the right certificate"
            }
            Self::Forbidden(_) => "see that the client key is a practitioner's",
            _ => "see that JHE_BASE_URL is JHE's own address",
        }
    }

    /// Returns the remedy for an error of a call about one patient.
    pub fn remedy_for_patient(&self) -> &'static str {
        match self {
            Self::Forbidden(_) | Self::NotFound(_) => {
                "see that the number is right, and that the practitioner of the key shares an organization \
                 with the patient"
            }
            other => other.remedy(),
        }
    }
}

fn find_gaps(state: &SetupState, public_base: &str) -> Vec<SetupGap> {
    let mut gaps = Vec::new();
    let mut add = |id, blocks_delivery, message: &str, remedy: &str| {
        let (message, remedy) = (message.to_owned(), remedy.to_owned());
        gaps.push(SetupGap { id, message, remedy, blocks_delivery });
    };
    // A practitioner who was created over JHE's API has no type; a patient always has one.
    if !matches!(state.user_type.as_str(), "practitioner" | "") {
        add(
            "jhe.client",
            true,
            &format!("the client key is not a practitioner's (JHE calls its owner '{}')", state.user_type),
            "have a practitioner make one",
        );
    } else if state.patients == 0 {
        add(
            "jhe.reach",
            true,
            "the practitioner of the client key shares no organization with any patient",
            "make the practitioner a member of each organization that takes part",
        );
    }
    if state.is_viewer {
        add(
            "jhe.role",
            false,
            "the practitioner of the client key is a viewer in an organization",
            "make it a member, so that a patient whose own sign-in at JHE has ended can still withdraw",
        );
    }
    let lists = |names: &[String], name: &str| names.iter().any(|known| known == name);
    if !DATA_SOURCES.iter().any(|source| lists(&state.data_sources, source.name)) {
        let names: Vec<&str> = DATA_SOURCES.iter().map(|source| source.name).collect();
        add(
            "jhe.source",
            true,
            &format!("JHE has none of the data sources that OW knows ({})", names.join(", ")),
            "add those that your patients wear there, and attach them to the study; or say with the setting \
             jhe.data_sources what they are called there",
        );
    }
    let needed = CODES.iter().filter(|code| code.in_jhe_seed && is_ingested(code));
    for code in needed.filter(|code| !lists(&state.codes, code.code)) {
        // A JHE that lacks another code is an older version, and still takes the codes that it has.
        let blocks_delivery = code.code == HEART_RATE;
        add("jhe.code", blocks_delivery, &format!("JHE has no code '{}'", code.code), "have its seed run");
    }
    if !state.has_inviting_client {
        add(
            "jhe.invitation",
            false,
            "JHE has no client whose invitations open this daemon",
            &format!("have a superuser make one with the invitationUrl {}", invitation_url(public_base)),
        );
    }
    gaps
}

fn is_ingested(code: &Code) -> bool {
    SERIES.iter().any(|series| series.code == code.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> SetupState {
        SetupState {
            user_type: "practitioner".into(),
            patients: 2,
            organizations: 1,
            is_viewer: false,
            data_sources: vec!["CareX".into(), "Oura".into()],
            codes: CODES.iter().map(|code| code.code.to_owned()).collect(),
            has_inviting_client: true,
        }
    }

    fn findings(state: &SetupState, public_base: &str) -> Vec<String> {
        find_gaps(state, public_base).iter().map(ToString::to_string).collect()
    }

    fn only(state: &SetupState) -> String {
        let findings = findings(state, "https://jhe-ow.example.org");
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0].clone()
    }

    #[test]
    fn each_gap_has_its_remedy() {
        assert_eq!(findings(&complete(), "https://jhe-ow.example.org"), Vec::<String>::new());
        assert!(
            only(&SetupState { user_type: "patient".into(), ..complete() }).contains("practitioner make one")
        );
        assert!(only(&SetupState { patients: 0, ..complete() }).contains("member of each organization"));
        assert!(only(&SetupState { is_viewer: true, ..complete() }).contains("make it a member"));
        assert!(
            only(&SetupState { data_sources: vec!["CareX".into()], ..complete() })
                .contains("(Oura, Garmin, ")
        );
        let without = |code: &str| complete().codes.into_iter().filter(|known| known != code).collect();
        assert!(
            only(&SetupState { codes: without("omh:heart-rate:2.0"), ..complete() })
                .contains("'omh:heart-rate:2.0': have its seed run")
        );
        let codes = without("omh:body-height:2.0");
        assert_eq!(
            findings(&SetupState { codes, ..complete() }, "https://jhe-ow.example.org"),
            Vec::<String>::new()
        );
        let here = "https://jhe-ow.example.org/clients/ow/launch?code=CODE";
        assert!(only(&SetupState { has_inviting_client: false, ..complete() }).ends_with(here));
    }
}
