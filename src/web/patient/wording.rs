//! The consent text. Whoever changes a word changes [`VERSION`] too: each grant stores version, language and
//! SHA-256 of the text on the page.

use crate::model::catalog::code;
use crate::model::study::{Scope, Study};
use crate::secrets::token::TokenHash;

pub(crate) const VERSION: &str = "2026-11-29";
/// A BCP 47 tag.
pub(crate) const LANGUAGE: &str = "en";

/// The text about one study's scopes: headings with their paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wording(Vec<(&'static str, String)>);

impl Wording {
    /// `first_read_range` is, for example, "last day".
    pub(crate) fn new(study: &Study, scopes: &[Scope], first_read_range: &str) -> Self {
        let terms = &study.terms;
        let line = |scope: &Scope| format!("• {}\n", describe(scope));
        let lines: String = scopes.iter().map(line).collect();
        Self(vec![
            ("Who asks", format!("{}, for the study “{}”.", terms.organization, terms.name)),
            ("Why", terms.purpose.clone()),
            (
                "Which data",
                format!(
                    "{lines}For each measurement: its value, its time, and the device it came from. What \
                     your device measured in the {first_read_range} before you agree is included, and nothing \
                     older. If you stop and agree again later, what was measured in between stays out."
                ),
            ),
            (
                "Who can see it",
                format!(
                    "The people of the study at {}, and whoever runs this service for them. The maker of \
                     your device has your data already and is not told what the study does with it.",
                    terms.organization
                ),
            ),
            (
                "How to stop",
                "At any time, without giving a reason, on the page “Your choices”: in the browser in which \
                 you agreed, or with a new link. From then on nothing more is fetched for the study. What \
                 was fetched before stays with the study; ask the study to have it erased."
                    .to_owned(),
            ),
            ("Questions", format!("{}.", terms.contact.trim_end_matches('.'))),
        ])
    }

    pub(crate) fn parts(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// Returns all parts as plain text, which is stored and hashed.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.iter().flat_map(|(heading, text)| [*heading, "\n", text.as_str(), "\n"]);
        lines.collect()
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(self.text().as_bytes())
    }
}

/// Returns the name of a scope and its description; a description that begins with the name stands alone.
fn describe(scope: &Scope) -> String {
    let Some(covers) = code::patient_description(&scope.code) else { return scope.display.clone() };
    let says_name = [":", ","].iter().any(|mark| covers.starts_with(&format!("{}{mark}", scope.display)));
    if says_name {
        return covers.to_owned();
    }
    let mut letters = covers.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    format!("{}: {}", scope.display, first.chain(letters).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::study::StudyId;
    use crate::model::study::Terms;

    fn study(purpose: &str) -> Study {
        let terms = Terms {
            name: "Sleep".into(),
            organization: "Lifespan Lab".into(),
            purpose: purpose.into(),
            contact: "Ada, ada@example.org".into(),
            ..Terms::default()
        };
        Study { id: StudyId(1), terms, is_of_jhe: false }
    }

    #[test]
    fn the_hash_is_of_exactly_what_is_read() {
        let scopes = [Scope { code: "omh:heart-rate:2.0".into(), display: "Heart Rate".into() }];
        let wording = Wording::new(&study("To learn."), &scopes, "last day");
        assert!(wording.text().contains("Heart Rate") && wording.text().contains("last day"));
        assert_eq!(wording.hash(), TokenHash::of(wording.text().as_bytes()));
        assert_ne!(wording.hash(), Wording::new(&study("To sell."), &scopes, "last day").hash());
    }

    /// The published hash of each version: a change of the text without a new version fails here.
    #[test]
    fn a_version_says_always_the_same() {
        let scope = |code: &code::Code| Scope { code: code.code.into(), display: code.display.into() };
        let all: Vec<Scope> = code::CODES.iter().map(scope).collect();
        let wording = Wording::new(&study("To learn."), &all, "last day");
        assert_eq!(
            (VERSION, wording.hash().hex().as_str()),
            ("2026-11-29", "f17de1a5b18da09ab9d344e14b52bd4903966eff8658a3eb63012a9f289f52d8")
        );
    }
}
