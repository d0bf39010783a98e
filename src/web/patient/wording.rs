//! The consent text: the study's own words in the frame of the bundles, all in the language of the study's text.
//! Whoever changes a word of the frame changes [`VERSION`] too: each grant stores version, language and SHA-256 of the
//! text on the page.

use std::time::Duration;

use crate::i18n::texts::Texts;
use crate::model::study::Scope;
use crate::secrets::token::TokenHash;
use crate::store::people::{consent::ConsentEntry, study_text::StudyText};

/// The version of the frame.
const VERSION: &str = "2026-12-01";

/// The text about one study's scopes: headings with their paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wording {
    parts: Vec<(String, String)>,
    /// Of the frame, then of the study's text in its language.
    version: String,
    texts: Texts,
}

impl Wording {
    /// `first_read` is the time before the consent whose measurements are included.
    pub(crate) fn new(study: &StudyText, scopes: &[Scope], first_read: Duration) -> Self {
        let texts = Texts::of(study.language);
        let line = |scope: &Scope| format!("• {}\n", describe(texts, scope));
        let lines: String = scopes.iter().map(line).collect();
        let part = |key: &str, text: String| (texts.get(key), text);
        let organization = || ("organization", study.organization.as_str().into());
        let who = [organization(), ("study", study.title.as_str().into())];
        let past = texts.get_with("consent-data-text", &[("past", format_past(texts, first_read).into())]);
        let parts = vec![
            part("consent-who", texts.get_with("consent-who-text", &who)),
            part("consent-why", study.purpose.clone()),
            part("consent-data", format!("{lines}{past}")),
            part("consent-readers", texts.get_with("consent-readers-text", &[organization()])),
            part("consent-stop", texts.get("consent-stop-text")),
            part("consent-questions", format!("{}.", study.contact.trim_end_matches('.'))),
        ];
        Self { parts, version: format!("{VERSION}.{}", study.version), texts }
    }

    pub(crate) fn parts(&self) -> &[(String, String)] {
        &self.parts
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Returns the tag of the language.
    pub(crate) fn language(&self) -> &'static str {
        self.texts.language().tag()
    }

    /// Returns all parts as plain text, which is stored and hashed.
    pub(crate) fn text(&self) -> String {
        let lines = self.parts.iter().flat_map(|(heading, text)| [heading.as_str(), "\n", text, "\n"]);
        lines.collect()
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(self.text().as_bytes())
    }
}

/// Returns "last day", "last 30 days" or "last 36 hours".
fn format_past(texts: Texts, length: Duration) -> String {
    let hours = length.as_secs().div_ceil(3600);
    let (key, count) =
        if hours.is_multiple_of(24) { ("past-days", hours / 24) } else { ("past-hours", hours) };
    texts.get_with(key, &[("count", count.into())])
}

/// Returns the names of the data types of consents, each once, as a list inside a sentence.
pub(crate) fn name_entries(texts: Texts, entries: &[ConsentEntry]) -> String {
    let mut names = Vec::new();
    for scope in entries.iter().map(|entry| &entry.scope) {
        let name = texts.data_type_in_sentence(&scope.code, &scope.display);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    texts.list(&names)
}

/// Returns the name of a scope and its description; a description that begins with the name stands alone.
fn describe(texts: Texts, scope: &Scope) -> String {
    let name = texts.data_type(&scope.code, &scope.display);
    let Some(covers) = texts.data_type_covers(&scope.code) else { return name };
    if covers.starts_with(&name) {
        return covers;
    }
    let mut letters = covers.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    format!("{name}: {}", first.chain(letters).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::i18n::language::Language;
    use crate::model::catalog::code;

    const DAY: Duration = Duration::from_hours(24);

    fn study(language: Language, purpose: &str) -> StudyText {
        StudyText {
            language,
            version: 1,
            title: "Sleep".into(),
            organization: "Lifespan Lab".into(),
            purpose: purpose.into(),
            contact: "Ada, ada@example.org".into(),
            written: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn the_hash_is_of_exactly_what_is_read() {
        let scopes = [Scope { code: "omh:heart-rate:2.0".into(), display: "Heart Rate".into() }];
        let wording = Wording::new(&study(Language::ENGLISH, "To learn."), &scopes, DAY);
        assert!(wording.text().contains("Heart rate") && wording.text().contains("last day"));
        assert_eq!(wording.hash(), TokenHash::of(wording.text().as_bytes()));
        assert_ne!(wording.hash(), Wording::new(&study(Language::ENGLISH, "To sell."), &scopes, DAY).hash());
    }

    /// The published hash of each version and language: a change of the text without a new version fails here.
    #[test]
    fn a_version_says_always_the_same() {
        let scope = |code: &code::Code| Scope { code: code.code.into(), display: code.display.into() };
        let all: Vec<Scope> = code::CODES.iter().map(scope).collect();
        let hash = |language| Wording::new(&study(language, "To learn."), &all, DAY).hash().hex();
        let hashes: Vec<(&str, String)> = Language::all().map(|one| (one.tag(), hash(one))).collect();
        let published = [
            ("en", "abce02b0de86a21da72581bca935610f22bad46c22d5271720e0cb1824c2a3cd"),
            ("es", "2715d51579504f2d8b7b57ad157dc9989a786806c3ce476e39d65b2521cae256"),
        ];
        let published = published.map(|(tag, hash)| (tag, hash.to_owned()));
        assert_eq!((VERSION, hashes), ("2026-12-01", published.to_vec()));
    }
}
