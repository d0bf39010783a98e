//! A JSON value as Python sees it: integers and floats are two types, and everything has a truth and a text.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;

use super::error::{Raised, refused};
use super::sample::Sample;

/// A value, read from its text when it is asked for. Lists and objects stay text.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// Without a limit of size, so as its digits.
    Integer(&'a str),
    Float(f64),
    Text(Cow<'a, str>),
    List(&'a RawValue),
    Object(&'a RawValue),
}

impl<'a> Value<'a> {
    /// # Errors
    /// Text with half a surrogate pair, which is no text here.
    pub(super) fn read(raw: &'a RawValue) -> Result<Self, Raised> {
        let text = raw.get();
        Ok(match text.as_bytes() {
            [b'n', ..] => Self::Null,
            [b't', ..] => Self::Bool(true),
            [b'f', ..] => Self::Bool(false),
            [b'[', ..] => Self::List(raw),
            [b'{', ..] => Self::Object(raw),
            [b'"', inside @ .., b'"'] => Self::Text(if inside.contains(&b'\\') {
                let decoded = serde_json::from_str::<String>(text);
                Cow::Owned(decoded.map_err(|_| refused(format!("{text} holds half a surrogate pair")))?)
            } else {
                Cow::Borrowed(&text[1..text.len() - 1])
            }),
            digits if digits.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                // Always a number: the text is JSON.
                Self::Float(text.parse().unwrap_or(f64::NAN))
            }
            _ => Self::Integer(text),
        })
    }

    /// The name of its type in Python.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Object(_) => "dict",
        }
    }

    /// Zero and what is empty are false.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(it) => *it,
            Self::Integer(digits) => digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')),
            Self::Float(it) => *it != 0.0,
            Self::Text(it) => !it.is_empty(),
            Self::List(raw) | Self::Object(raw) => {
                let inside = &raw.get()[1..raw.get().len() - 1];
                !inside.trim_ascii().is_empty()
            }
        }
    }

    /// Whether it is this text.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Text(text) if text == word)
    }

    /// Fails where Python could not look it up in a table of words.
    ///
    /// # Errors
    /// For lists and objects.
    pub(super) fn word(&self) -> Result<&str, Raised> {
        match self {
            Self::List(_) | Self::Object(_) => {
                Err(Raised::Type(format!("unhashable type: '{}'", self.type_name())))
            }
            Self::Text(text) => Ok(text),
            _ => Ok(""),
        }
    }

    /// `str()`.
    pub(super) fn into_text(self) -> Result<Cow<'a, str>, Raised> {
        match self {
            Self::Text(text) => Ok(text),
            other => other.shown().map(Cow::Owned),
        }
    }

    /// `repr()`.
    pub(super) fn shown(&self) -> Result<String, Raised> {
        let mut out = String::new();
        self.show(&mut out, 0)?;
        Ok(out)
    }

    fn show(&self, out: &mut String, depth: usize) -> Result<(), Raised> {
        match self {
            Self::Null => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Integer("-0") => out.push('0'),
            Self::Integer(digits) => out.push_str(digits),
            Self::Float(it) => show_float(*it, out),
            Self::Text(text) => show_text(text, out),
            Self::List(_) | Self::Object(_) if depth >= super::sample::MAX_DEPTH => {
                return Err(refused("it is nested too deep to be shown"));
            }
            Self::List(raw) => {
                out.push('[');
                for (index, item) in items(raw).into_iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    Value::read(item)?.show(out, depth + 1)?;
                }
                out.push(']');
            }
            Self::Object(raw) => {
                out.push('{');
                for (index, (key, item)) in Sample::in_order(raw).into_iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    show_text(&key, out);
                    out.push_str(": ");
                    Value::read(item)?.show(out, depth + 1)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// The items of a list.
pub(super) fn items(list: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(list.get()).unwrap_or_default()
}

/// The text in quotes, with escapes for what cannot be printed.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    show_text(text, &mut out);
    out
}

fn show_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            it if it == quote => out.extend(['\\', it]),
            it if is_printable(it) => out.push(it),
            it => escape(u32::from(it), out),
        }
    }
    out.push(quote);
}

fn escape(code: u32, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// The standard library knows what can be printed, and says so only by escaping the rest. A combining mark at
/// the beginning of a text would be escaped too, therefore the letter before it.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let mut text = [b'a'; 5];
    let length = character.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..=length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(character))
}

/// The fewest digits that read back the same, and an exponent from 1e16 on and below 0.0001.
fn show_float(it: f64, out: &mut String) {
    if it.is_infinite() {
        return out.push_str(if it < 0.0 { "-inf" } else { "inf" });
    }
    let scientific = format!("{it:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let _ = match exponent {
        -4..16 if it.fract() == 0.0 => write!(out, "{it:.1}"),
        -4..16 => write!(out, "{it}"),
        _ => write!(out, "{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        Value::read(raw).unwrap().shown().unwrap()
    }

    #[test]
    fn a_value_is_shown_as_python_shows_it() {
        for (json, python) in [
            ("null", "None"),
            ("true", "True"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1e2", "100.0"),
            ("1e16", "1e+16"),
            ("123456789012345680.0", "1.2345678901234568e+17"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1e400", "inf"),
            (r#""it's""#, r#""it's""#),
            (r#""it's \"so\"""#, r#"'it\'s "so"'"#),
            (r#""a\n\u0007\u00a0\u200b\u00e9e\u0301\ud83d\udc8d""#, r"'a\n\x07\xa0\u200bée\u0301💍'"),
            (r#"[1, "a", {"k": [null]}]"#, "[1, 'a', {'k': [None]}]"),
        ] {
            let python = python.replace(r"\u0301", "\u{301}");
            assert_eq!(shown(json), python, "{json}");
        }
    }

    #[test]
    fn zero_and_what_is_empty_are_false() {
        for (json, truth) in [
            ("0", false),
            ("-0.0", false),
            ("1e-400", false),
            ("10", true),
            ("\"\"", false),
            ("\"0\"", true),
            ("[ ]", false),
            ("[0]", true),
            ("{ }", false),
            ("null", false),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(Value::read(raw).unwrap().is_true(), truth, "{json}");
        }
    }
}
