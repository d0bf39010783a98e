//! The languages, and the choice among them.

use std::fmt;

/// Tag and bundle of each language. The first one is used where no other fits, and has every text.
pub(crate) const LANGUAGES: &[(&str, &str)] = &[
    ("en", include_str!("../../assets/languages/en.ftl")),
    ("es", include_str!("../../assets/languages/es.ftl")),
];

/// Names of languages in lists of people, in lower case, each with its tag.
const NAMES: &[(&str, &str)] = &[
    ("english", "en"),
    ("eng", "en"),
    ("inglés", "en"),
    ("español", "es"),
    ("espanol", "es"),
    ("spanish", "es"),
    ("spa", "es"),
    ("castellano", "es"),
];

/// A language that patients can read the pages in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Language(usize);

impl Language {
    pub const ENGLISH: Self = Self(0);

    pub fn all() -> impl Iterator<Item = Self> {
        (0..LANGUAGES.len()).map(Self)
    }

    /// Finds a language by its BCP 47 tag or its name; `es-MX` is Spanish. None for a language without texts.
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, tag)| *tag);
        let tag = named.unwrap_or_else(|| text.split(['-', '_']).next().unwrap_or_default());
        Self::all().find(|one| one.tag() == tag)
    }

    /// Returns the language of a stored tag, or English.
    pub fn find_or_english(tag: &str) -> Self {
        Self::find(tag).unwrap_or(Self::ENGLISH)
    }

    /// Returns the language that a browser prefers by its `Accept-Language`.
    pub(crate) fn negotiate(header: &str) -> Option<Self> {
        let weighed = header.split(',').filter_map(|part| {
            let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            Some((Self::find(tag)?, weight)).filter(|(_, weight)| *weight > 0.0)
        });
        // The first of equals: browsers list the preferred one first.
        let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language)
    }

    /// Returns the tag for `lang` attributes and the store.
    pub fn tag(self) -> &'static str {
        LANGUAGES[self.0].0
    }

    pub(super) fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tag().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_likes_best() {
        let tag = |header| Language::negotiate(header).map(Language::tag);
        assert_eq!(tag("es-MX,es;q=0.9,en;q=0.8"), Some("es"));
        assert_eq!(tag("de-DE, en;q=0.4, es;q=0.5"), Some("es"));
        assert_eq!(tag("en-GB,es"), Some("en"), "the first of equals");
        assert_eq!(tag("es;q=0, fr"), None);
        for odd in ["", "*", ";;q=,", "es;q=x", "\u{fffd}"] {
            assert_eq!(tag(odd), None, "{odd}");
        }
        assert_eq!(Language::find_or_english("tlh"), Language::ENGLISH);
        for name in ["ES", "es-MX", "Spanish", "Español", " castellano "] {
            assert_eq!(Language::find(name).map(Language::tag), Some("es"), "{name}");
        }
    }
}
