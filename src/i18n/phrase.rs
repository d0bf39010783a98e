//! A text whose language is decided later, when it is shown.

use crate::i18n::texts::Texts;

/// A text of the bundles with its values, or a text as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phrase {
    Plain(String),
    Text { key: &'static str, values: Vec<(&'static str, String)> },
}

impl Phrase {
    pub fn key(key: &'static str) -> Self {
        Self::Text { key, values: Vec::new() }
    }

    /// Adds a value to a text of the bundles.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Text { values, .. } = &mut self {
            values.push((name, value.into()));
        }
        self
    }

    pub fn render(&self, texts: Texts) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text { key, values } => {
                let values: Vec<_> =
                    values.iter().map(|(name, value)| (*name, value.as_str().into())).collect();
                texts.get_with(key, &values)
            }
        }
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}
