//! A text whose language is decided later, when it is shown.

use crate::i18n::texts::{Texts, Value};

/// A text of the bundles with its values, or a text as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phrase {
    Plain(String),
    Text { key: &'static str, values: Vec<(&'static str, PhraseValue)> },
}

/// A value in a text. The bundles have forms of their own for one and for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhraseValue {
    Text(String),
    Number(u64),
}

impl Phrase {
    pub fn key(key: &'static str) -> Self {
        Self::Text { key, values: Vec::new() }
    }

    /// Adds a value to a text of the bundles.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<PhraseValue>) -> Self {
        if let Self::Text { values, .. } = &mut self {
            values.push((name, value.into()));
        }
        self
    }

    pub fn render(&self, texts: Texts) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text { key, values } => {
                let value = |value: &PhraseValue| match value {
                    PhraseValue::Text(text) => Value::from(text.clone()),
                    PhraseValue::Number(number) => Value::from(*number),
                };
                let values: Vec<_> = values.iter().map(|(name, one)| (*name, value(one))).collect();
                texts.get_with(key, &values)
            }
        }
    }
}

impl From<String> for PhraseValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for PhraseValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
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
