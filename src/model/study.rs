//! Studies and their terms.

use std::fmt;

use crate::common::visible::strip_misleading;

use crate::model::collection_window::CollectionWindow;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StudyId(pub(crate) i64);

impl StudyId {
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for StudyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for StudyId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A patient's enrolment in a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub study: StudyId,
    /// Name of the study.
    pub name: String,
    /// The patient's number in the study.
    pub participant: String,
}

/// A scope: a code that a patient can consent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Such as `omh:heart-rate:2.0`.
    pub code: String,
    pub display: String,
}

/// The text and the scopes of a study, which patients agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub name: String,
    pub organization: String,
    /// Text for patients.
    pub purpose: String,
    /// The patients' contact: an address or a phone number.
    pub contact: String,
    pub scopes: Vec<Scope>,
    /// Accepted data sources; see [`Study::accepts_provider`] for an empty list.
    pub data_sources: Vec<String>,
    /// IANA name or fixed offset. A patient who is enrolled gets it.
    pub time_zone: String,
    pub collection: CollectionWindow,
}

impl Default for Terms {
    fn default() -> Self {
        let (scopes, data_sources) = (Vec::new(), Vec::new());
        let [name, organization, purpose, contact] = [const { String::new() }; 4];
        let (time_zone, collection) = ("UTC".to_owned(), CollectionWindow::default());
        Self { name, organization, purpose, contact, scopes, data_sources, time_zone, collection }
    }
}

/// Maximum characters of a purpose; patients do not read longer texts to the end.
pub const MAX_PURPOSE_LENGTH: usize = 4000;

/// Parses the text of several lines for patients, and removes direction marks.
pub fn parse_purpose(text: &str) -> Result<String, String> {
    let lines: Vec<&str> = text.trim().lines().collect();
    if lines.iter().any(|line| line.contains(char::is_control)) {
        return Err("leave out tabs and other control characters".to_owned());
    }
    let text = lines.into_iter().map(strip_misleading).collect::<Vec<_>>().join("\n");
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_PURPOSE_LENGTH {
        return Err(format!("enter the purpose, in at most {MAX_PURPOSE_LENGTH} characters"));
    }
    Ok(text.to_owned())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    pub id: StudyId,
    pub terms: Terms,
    /// True for a study of JHE.
    pub is_of_jhe: bool,
}

impl Study {
    /// Returns true if the study accepts data of a provider of OW. A study of JHE accepts only the data
    /// sources attached to it there. A local study without data sources accepts all.
    pub fn accepts_provider(&self, provider: &str) -> bool {
        let sources = &self.terms.data_sources;
        (sources.is_empty() && !self.is_of_jhe)
            || sources.iter().any(|source| source.eq_ignore_ascii_case(provider))
    }
}
