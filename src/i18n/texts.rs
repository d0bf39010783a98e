//! Texts of one language, from its Fluent bundle.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use jiff::tz::TimeZone;
use parking_lot::Mutex;

pub use fluent_bundle::FluentValue as Value;

use crate::common::time::Timestamp;
use crate::i18n::language::{LANGUAGES, Language};

/// One bundle per language, in the order of [`LANGUAGES`].
static BUNDLES: LazyLock<Vec<FluentBundle<FluentResource>>> =
    LazyLock::new(|| LANGUAGES.iter().map(|(tag, source)| build(tag, source)).collect());
/// Keys that are missing or broken in a bundle, and that the log has named.
static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Builds a bundle. A line with an error is left out; the tests find it.
fn build(tag: &str, source: &str) -> FluentBundle<FluentResource> {
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
    let mut bundle = FluentBundle::new_concurrent(tag.parse().into_iter().collect());
    // Names lose direction marks when they are parsed, so pages need no isolation marks.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

/// The texts of one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    language: Language,
}

impl Texts {
    pub const ENGLISH: Self = Self::of(Language::ENGLISH);

    pub const fn of(language: Language) -> Self {
        Self { language }
    }

    pub fn language(self) -> Language {
        self.language
    }

    /// Returns the language's name in the language itself.
    pub fn own_name(self) -> String {
        self.get("language-name")
    }

    /// Returns the name of a language; its own name where the texts have none for it.
    pub fn language_name(self, language: Language) -> String {
        let name = self.find(&format!("language-{language}"), None, &[]);
        name.unwrap_or_else(|| Self::of(language).own_name())
    }

    /// Returns a text. One that the language lacks is English.
    pub fn get(self, key: &str) -> String {
        self.get_with(key, &[])
    }

    /// Returns a text with its values filled in.
    pub fn get_with(self, key: &str, values: &[(&'static str, Value<'_>)]) -> String {
        self.find(key, None, values).unwrap_or_else(|| {
            report(self.language, key);
            Self::ENGLISH.find(key, None, values).unwrap_or_else(|| key.to_owned())
        })
    }

    /// Returns a text, or `other` if the language does not have it.
    pub fn get_or(self, key: &str, other: &str) -> String {
        self.find(key, None, &[]).unwrap_or_else(|| other.to_owned())
    }

    /// Returns the name of a data type; `display` is for codes that the bundles do not have.
    pub fn data_type(self, code: &str, display: &str) -> String {
        self.get_or(&data_type_key(code), display)
    }

    /// Returns the name of a data type inside a sentence: "heart rate", "UV exposure" and "Nike Fuel".
    pub fn data_type_in_sentence(self, code: &str, display: &str) -> String {
        let name = self.data_type(code, display);
        let is_name = name.split(' ').skip(1).any(|word| word.starts_with(char::is_uppercase));
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some(first), Some(second)) if second.is_lowercase() && !is_name => {
                first.to_lowercase().chain(name.chars().skip(1)).collect()
            }
            _ => name,
        }
    }

    /// Returns the sentence that tells patients what a data type covers.
    pub fn data_type_covers(self, code: &str) -> Option<String> {
        self.find(&data_type_key(code), Some("covers"), &[])
    }

    /// Returns a date as the language writes it.
    pub fn date(self, zone: &TimeZone, at: Timestamp) -> String {
        let Some(local) = at.to_jiff().map(|at| at.to_zoned_datetime(zone.clone())) else {
            return at.to_string();
        };
        let month = self.get(&format!("month-{}", local.month()));
        let (day, year) = (local.day().to_string(), local.year().to_string());
        self.get_with("date", &[("day", day.into()), ("month", month.into()), ("year", year.into())])
    }

    /// Returns a date and a time with its zone.
    pub fn date_time(self, zone: &TimeZone, at: Timestamp) -> String {
        let time = at.to_jiff().map(|at| at.to_zoned_datetime(zone.clone()).strftime("%H:%M %Z").to_string());
        let values = [("date", self.date(zone, at).into()), ("time", time.unwrap_or_default().into())];
        self.get_with("date-time", &values)
    }

    /// Returns a list such as "A, B and C".
    pub fn list(self, items: &[String]) -> String {
        match items {
            [] => String::new(),
            [one] => one.clone(),
            [first @ .., last] => {
                let (first, word) = (first.join(", "), last.to_lowercase());
                let has_sound =
                    word.starts_with(['i', 'í']) || (word.starts_with("hi") && !word.starts_with("hie"));
                let sound = if has_sound { "i" } else { "other" };
                let values =
                    [("first", first.into()), ("last", last.as_str().into()), ("sound", sound.into())];
                self.get_with("list-and", &values)
            }
        }
    }

    fn find(
        self,
        key: &str,
        attribute: Option<&str>,
        values: &[(&'static str, Value<'_>)],
    ) -> Option<String> {
        let bundle = &BUNDLES[self.language.index()];
        let message = bundle.get_message(key)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let arguments: FluentArgs<'_> = values.iter().cloned().collect();
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned();
        if !errors.is_empty() {
            report(self.language, key);
        }
        Some(text)
    }
}

/// Logs a key without a whole text, once.
fn report(language: Language, key: &str) {
    if REPORTED.lock().insert(format!("{language}/{key}")) {
        tracing::warn!(%language, key, "a text is missing or has no value for one of its places");
    }
}

/// Returns the key of a data type, without the version of its schema.
fn data_type_key(code: &str) -> String {
    let parts: Vec<&str> = code.split(':').take(2).collect();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!(
        "data-{}",
        parts
            .join("-")
            .chars()
            .map(|letter| if letter == '_' { '_' } else { plain(letter) })
            .collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
    use fluent_syntax::parser::parse;

    use super::*;
    use crate::i18n::phrase::Phrase;

    /// Keys of messages and attributes, with the names of their arguments.
    fn list_keys(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let resource = parse(source).unwrap_or_else(|(_, errors)| panic!("{errors:?}"));
        let mut keys = BTreeMap::new();
        for entry in resource.body {
            let Entry::Message(message) = entry else { continue };
            let id = message.id.name;
            let attributes =
                message.attributes.iter().map(|one| (format!("{id}.{}", one.id.name), &one.value));
            let value = message.value.iter().map(|value| (id.to_owned(), value));
            for (key, pattern) in value.chain(attributes) {
                let mut arguments = BTreeSet::new();
                collect(pattern, &mut arguments);
                assert!(keys.insert(key.clone(), arguments).is_none(), "{key} is there twice");
            }
        }
        keys
    }

    fn collect(pattern: &Pattern<&str>, arguments: &mut BTreeSet<String>) {
        for element in &pattern.elements {
            let PatternElement::Placeable { expression } = element else { continue };
            let (Expression::Inline(inline) | Expression::Select { selector: inline, .. }) = expression;
            if let InlineExpression::VariableReference { id } = inline {
                arguments.insert(id.name.to_owned());
            }
            if let Expression::Select { variants, .. } = expression {
                for variant in variants {
                    collect(&variant.value, arguments);
                }
            }
        }
    }

    #[test]
    fn every_language_has_every_text_with_the_same_values() {
        let english = list_keys(LANGUAGES[0].1);
        for (tag, source) in LANGUAGES {
            let keys = list_keys(source);
            let missing: Vec<_> = english.keys().filter(|key| !keys.contains_key(*key)).collect();
            let more: Vec<_> = keys.keys().filter(|key| !english.contains_key(*key)).collect();
            assert!(missing.is_empty() && more.is_empty(), "{tag} lacks {missing:?}, and has also {more:?}");
            for (key, arguments) in keys {
                assert_eq!(english[&key], arguments, "{tag}: {key}");
            }
        }
        for language in Language::all() {
            assert_eq!(
                Language::find(&Texts::of(language).own_name()),
                Some(language),
                "it is found by its own name"
            );
        }
    }

    #[test]
    fn every_text_is_used() {
        fn read(directory: &Path, sources: &mut String) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, sources);
                } else {
                    *sources += &fs::read_to_string(&path).unwrap_or_default();
                }
            }
        }
        let mut sources = String::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
        // The code composes these keys.
        let composed = ["data-", "language-", "month-", "period-", "series-", "unit-", "weekday-"];
        let is_composed = |key: &String| composed.iter().any(|begin| key.starts_with(begin));
        let unused: Vec<_> = list_keys(LANGUAGES[0].1)
            .into_keys()
            .filter(|key| !is_composed(key) && !sources.contains(&format!("\"{key}\"")))
            .collect();
        assert!(unused.is_empty(), "nobody uses {unused:?}");
    }

    #[test]
    fn a_text_is_plain_and_whole_and_a_missing_one_is_english() {
        let spanish = Texts::of(Language::find("es-MX").unwrap());
        let zone = TimeZone::get("America/Mexico_City").unwrap();
        let at = Timestamp::parse("2026-11-02T03:30:00Z").unwrap();
        assert_eq!(spanish.date_time(&zone, at), "1 de noviembre de 2026, 21:30 CST");
        assert_eq!(Texts::ENGLISH.date(&zone, at), "1 November 2026");
        assert_eq!(spanish.get_with("connect-device", &[("device", "Oura".into())]), "conectar Oura");
        assert_eq!(spanish.get_with("past-days", &[("count", 30.into())]), "los últimos 30 días");
        assert_eq!(spanish.data_type_in_sentence("omh:heart-rate:2.0", ""), "frecuencia cardíaca");
        assert_eq!(spanish.data_type("local:unknown:1.0", "Of others"), "Of others");
        assert_eq!(spanish.get("no-such-key"), "no-such-key");
        assert_eq!(Texts::ENGLISH.data_type_in_sentence("local:uv_exposure:1.0", ""), "UV exposure");
        let names = ["A", "B", "C"].map(str::to_owned);
        assert_eq!((spanish.list(&names), Texts::ENGLISH.list(&names[..1])), ("A, B y C".into(), "A".into()));
        let pair = |last: &str| spanish.list(&["A".to_owned(), last.to_owned()]);
        assert_eq!(
            ["Índice", "hidratación", "hielo"].map(pair),
            ["A e Índice", "A e hidratación", "A y hielo"]
        );
        assert_eq!(Texts::ENGLISH.data_type_in_sentence("local:nike_fuel:1.0", ""), "Nike Fuel");
        let wait = |seconds: u64| Phrase::key("error-too-many-text").with("seconds", seconds);
        assert_eq!(wait(1).render(Texts::ENGLISH), "Please wait a second, then try again.");
        assert_eq!(wait(2).render(spanish), "Espere 2 segundos e inténtelo de nuevo.");
    }

    /// The texts of messages, attributes and variants, without their values.
    fn list_texts(source: &str) -> Vec<String> {
        fn add(pattern: &Pattern<&str>, all: &mut Vec<String>) {
            let mut text = String::new();
            for element in &pattern.elements {
                match element {
                    PatternElement::TextElement { value } => text += value,
                    PatternElement::Placeable { expression: Expression::Select { variants, .. } } => {
                        for variant in variants {
                            add(&variant.value, all);
                        }
                    }
                    PatternElement::Placeable { .. } => {}
                }
            }
            all.push(text);
        }
        let mut all = Vec::new();
        for entry in parse(source).unwrap().body {
            let Entry::Message(message) = entry else { continue };
            let attributes = message.attributes.iter().map(|one| &one.value);
            message.value.iter().chain(attributes).for_each(|pattern| add(pattern, &mut all));
        }
        all
    }

    /// Words, sentences and syllables of the running text of a bundle.
    fn measure(source: &str) -> (f64, f64, f64) {
        let (mut words, mut sentences, mut syllables) = (0.0, 0.0, 0.0);
        for text in list_texts(source) {
            if text.split_whitespace().count() < 6 {
                continue;
            }
            let ends = text.chars().filter(|letter| ".?:!".contains(*letter)).count();
            sentences += f64::from(u32::try_from(ends.max(1)).unwrap());
            for word in text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()) {
                let vowels: Vec<bool> =
                    word.to_lowercase().chars().map(|letter| "aeiouyáéíóúü".contains(letter)).collect();
                let groups =
                    vowels.windows(2).filter(|pair| !pair[0] && pair[1]).count() + usize::from(vowels[0]);
                // A final "e" is silent in English.
                let silent = source.contains("language-name = English") && word.ends_with('e') && groups > 1;
                syllables += f64::from(u32::try_from(groups.max(1) - usize::from(silent)).unwrap());
                words += 1.0;
            }
        }
        (words, sentences, syllables)
    }

    /// About the eighth grade: Flesch and Kincaid's grade in English, and Fernández Huerta's ease in Spanish, where 70
    /// is the seventh and 60 the eighth grade.
    #[test]
    fn the_texts_are_easy_to_read() {
        let (words, sentences, syllables) = measure(LANGUAGES[0].1);
        let grade = 0.39 * words / sentences + 11.8 * syllables / words - 15.59;
        assert!(grade < 8.0, "English is at grade {grade}");
        let (words, sentences, syllables) = measure(LANGUAGES[1].1);
        let ease = 206.84 - 60.0 * syllables / words - 1.02 * words / sentences;
        assert!(ease > 65.0, "Spanish has an ease of {ease}");
    }
}
