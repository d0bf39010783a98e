//! The detail of an audit entry: fixed words, numbers and opaque ids, by type. The audit is append-only and outlives an
//! erasure, so no text of a person or of another program may reach it.

use std::fmt::Write as _;
use std::time::Duration;

use crate::common::time::{Timestamp, format_duration};
use crate::model::account::{AccountId, Role};
use crate::model::catalog::{code::CODES, source::DATA_SOURCES};
use crate::model::patient::OwUser;
use crate::model::study::StudyId;

/// A fixed word, a number or an opaque id. Never implement it for a text that comes from outside.
pub trait AuditPart {
    fn into_text(self) -> String;
}

macro_rules! audit_parts {
    ($($kind:ty),*) => {
        $(impl AuditPart for $kind {
            fn into_text(self) -> String {
                self.to_string()
            }
        })*
    };
}

// A borrowed text that lives for ever is a word of the program.
audit_parts!(&'static str, i64, u64, AccountId, StudyId, Role, OwUser, Timestamp);

impl AuditPart for Duration {
    fn into_text(self) -> String {
        format_duration(self)
    }
}

/// Words, numbers and ids with spaces between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuditDetail(String);

impl AuditDetail {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn with(mut self, part: impl AuditPart) -> Self {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to memory does not fail.
        let _ = write!(self.0, "{space}{}", part.into_text());
        self
    }

    /// Appends a code of the catalogue. Codes of others are not named.
    #[must_use]
    pub fn with_code(self, name: &str) -> Self {
        self.with(CODES.iter().find(|code| code.code == name).map_or("unlisted-code", |code| code.code))
    }

    /// Appends the name of a provider of the catalogue. Others are not named.
    #[must_use]
    pub fn with_provider(self, name: &str) -> Self {
        let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(name));
        let mut detail = self.with(known.map_or("unlisted-provider", |source| source.name));
        detail.0.make_ascii_lowercase();
        detail
    }
}

impl From<&'static str> for AuditDetail {
    fn from(word: &'static str) -> Self {
        Self::default().with(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_in_no_catalogue_are_not_recorded() {
        let detail =
            AuditDetail::from("study").with(7_i64).with_code("omh:heart-rate:2.0").with_code("Ms Jones");
        assert_eq!(detail.as_str(), "study 7 omh:heart-rate:2.0 unlisted-code");
        assert_eq!(AuditDetail::default().with_provider("oura").as_str(), "oura");
        assert_eq!(AuditDetail::default().with_provider("Ms Jones").as_str(), "unlisted-provider");
    }
}
