//! Studies: who asks patients for which data, and why.

use std::fmt;

/// The number of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StudyId(pub(crate) i64);

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

/// A scope: something that a patient can agree to share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The code, such as `omh:heart-rate:2.0`.
    pub code: String,
    /// What people call it.
    pub display: String,
}

/// What a study tells its patients, and what it asks them for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its name.
    pub name: String,
    /// Who asks.
    pub organization: String,
    /// What for, in words that patients read.
    pub purpose: String,
    /// Whom a patient can write to or call.
    pub contact: String,
    /// What it asks for.
    pub scopes: Vec<Scope>,
    /// The data sources it takes data from; none means any.
    pub data_sources: Vec<String>,
}

/// A study as the store holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// Its number.
    pub id: StudyId,
    /// What it tells and asks.
    pub terms: Terms,
    /// Whether it is JHE's.
    pub is_of_jhe: bool,
}

impl Study {
    /// Whether it takes data from this provider of OW's. One of JHE's takes what is attached to it there, and nothing
    /// else; one of our own without any takes all.
    pub fn takes(&self, provider: &str) -> bool {
        let sources = &self.terms.data_sources;
        (sources.is_empty() && !self.is_of_jhe)
            || sources.iter().any(|source| source.eq_ignore_ascii_case(provider))
    }
}
