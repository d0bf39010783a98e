//! Why a line has no output: the exceptions of the reference converter, and our own.

use std::borrow::Cow;

use serde::Serialize;

/// What went wrong, by the class of the exception that the reference converter raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ErrorKind {
    /// The sample lacks something, or something in it is wrong.
    ConversionError,
    /// The body would not conform to its schema.
    ValidationError,
    /// A number or a date is too large; the reference converter lets it escape.
    OverflowError,
    /// Something that should be an object is none; the reference converter lets it escape.
    AttributeError,
    /// The line is no JSON, or not of the shape that a line has. Ours.
    LineError,
    /// Nothing here can convert that. Ours.
    NotSupported,
}

/// Why a line has no output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ConvertError {
    /// Its class.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// What happened, in the reference converter's words where it has any.
    pub message: String,
}

impl ConvertError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// What a conversion runs into, before it is known which one it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raised {
    /// A key that is not there.
    Key(&'static str),
    /// A value that cannot be what it should.
    Value(String),
    /// A value of a type that cannot be what it should.
    Type(String),
    /// Something the reference converter explains itself.
    Conversion(Cow<'static, str>),
    /// Too large.
    Overflow(&'static str),
    /// No object.
    Attribute(String),
    /// The reference converter makes something wrong of it, or something that JSON cannot hold.
    Refused(String),
}

/// A deliberate difference: docs/data.md lists each.
pub(super) fn refused(why: impl Into<String>) -> Raised {
    Raised::Refused(why.into())
}

impl Raised {
    /// The error of the conversion that ran into it.
    pub(super) fn in_conversion(self, source: &str, data_type: &str) -> ConvertError {
        let wrapped = |name: &str, what: &str| {
            ConvertError::new(ErrorKind::ConversionError, format!("{source}/{data_type}: {name}: {what}"))
        };
        match self {
            Self::Key(key) => wrapped("KeyError", &format!("'{key}'")),
            Self::Value(what) => wrapped("ValueError", &what),
            Self::Type(what) => wrapped("TypeError", &what),
            Self::Refused(what) => wrapped("Refused", &what),
            Self::Conversion(what) => ConvertError::new(ErrorKind::ConversionError, what),
            Self::Overflow(what) => ConvertError::new(ErrorKind::OverflowError, what),
            Self::Attribute(what) => ConvertError::new(ErrorKind::AttributeError, what),
        }
    }
}
