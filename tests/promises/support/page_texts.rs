//! The texts of a page and of a language bundle.

use std::collections::BTreeSet;
use std::path::Path;

use fluent_syntax::ast::{Entry, Expression, Pattern, PatternElement};

/// Elements whose text does not come from bundles: option values, and consents as they were displayed.
const LEFT_OUT: &[&str] = &["option", "pre", "svg", "code"];
const VOID: &[&str] = &["br", "hr", "img", "input", "link", "meta", "line", "rect", "circle", "polyline"];

/// Returns the text nodes and labels of a page that are in the page's own language.
pub fn texts_of(page: &str, language: &str) -> Vec<String> {
    let page = page.split_once("<html").map_or(page, |(_, rest)| rest).split_once('>').unwrap().1;
    let (mut texts, mut open) = (Vec::new(), Vec::<(String, bool)>::new());
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if tag.starts_with('/') {
            while open.pop().is_some_and(|(other, _)| other != name) {}
        } else if !VOID.contains(&name.as_str()) {
            let attribute = |name: &str| {
                tag.split_once(&format!(" {name}=\"")).map(|(_, rest)| rest.split('"').next().unwrap())
            };
            let is_foreign =
                attribute("lang").is_some_and(|lang| lang != language) || LEFT_OUT.contains(&name.as_str());
            let is_out = is_foreign || open.last().is_some_and(|(_, out)| *out);
            if !is_out {
                texts.extend(attribute("aria-label").map(str::to_owned));
            }
            open.push((name, is_out));
        }
        if !open.last().is_some_and(|(_, out)| *out) {
            texts.extend(
                text.lines().map(|line| unescape(line.trim().trim_start_matches(['•', '·', ':', ' ']))),
            );
        }
    }
    texts.retain(|text| text.chars().any(char::is_alphabetic));
    texts
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The texts of a language, each split at its placeholders.
pub struct Bundle(Vec<Vec<String>>);

impl Bundle {
    pub fn read(language: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/languages/{language}.ftl"));
        let resource = fluent_syntax::parser::parse(std::fs::read_to_string(path).unwrap()).unwrap();
        let mut all = Vec::new();
        for entry in &resource.body {
            let Entry::Message(message) = entry else { continue };
            let attributes = message.attributes.iter().map(|one| &one.value);
            for pattern in message.value.iter().chain(attributes) {
                add(pattern, &mut all);
            }
        }
        Self(all)
    }

    /// Returns all words, in lower case.
    pub fn words(&self) -> BTreeSet<String> {
        let parts = self.0.iter().flatten();
        let words = parts.flat_map(|part| part.split(|letter: char| !letter.is_alphabetic()));
        words.map(str::to_lowercase).collect()
    }

    /// Returns true if the language has the text, with any values for its placeholders. Texts that consist of
    /// placeholders only do not count.
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|parts| {
            let letters: usize =
                parts.iter().map(|part| part.chars().filter(|one| one.is_alphabetic()).count()).sum();
            (parts.len() == 1 || letters >= 3) && matches(parts, text)
        })
    }
}

fn add(pattern: &Pattern<String>, all: &mut Vec<Vec<String>>) {
    let mut parts = vec![String::new()];
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { value } => parts.last_mut().unwrap().push_str(value),
            PatternElement::Placeable { expression: Expression::Select { variants, .. } } => {
                for variant in variants {
                    add(&variant.value, all);
                }
                parts.push(String::new());
            }
            PatternElement::Placeable { .. } => parts.push(String::new()),
        }
    }
    all.push(parts);
}

fn matches(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    rest.len() >= last.len() && rest.ends_with(last.as_str())
}
