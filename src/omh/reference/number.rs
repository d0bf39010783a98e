//! Python's `float()` and `int()`, and its multiplication by 60.

use std::borrow::Cow;

use super::error::{Raised, refused};
use super::value::{Value, quoted};
use super::write::put_value;

/// Seconds in a minute: what some durations are multiplied with.
const MINUTE: i128 = 60;
/// Characters of a text that `int()` shows where it refuses it.
const SHOWN: usize = 200;
/// The largest 128-bit integer is a little less: 2 to the 127th.
const TOO_LARGE: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// A number on its way into a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Written with a decimal point, always.
    Float(f64),
    /// Written without.
    Integer(i128),
}

impl Number {
    /// What is on the wire.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Float(it) => put_value(out, &it),
            // The common case has a cheaper writer.
            Self::Integer(it) => match i64::try_from(it) {
                Ok(it) => put_value(out, &it),
                Err(_) => put_value(out, &it),
            },
        }
    }
}

/// How a value becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    /// `float(x)`.
    Float,
    /// `int(x)`: towards zero.
    Integer,
    /// `int(x * 60)`: minutes to seconds, multiplied before they are cut.
    Minutes,
}

impl Cast {
    /// The number that a field which must be there becomes.
    ///
    /// # Errors
    /// As Python, and for what JSON cannot hold.
    pub(super) fn of(self, value: &Value<'_>) -> Result<Number, Raised> {
        match self {
            Self::Float => float(value).map(Number::Float),
            Self::Integer => integer(value).map(Number::Integer),
            Self::Minutes => seconds(value).map(Number::Integer),
        }
    }

    /// The number that an optional field becomes, which is multiplied by something in any case.
    ///
    /// # Errors
    /// As [`Cast::of`], and for an object.
    pub(super) fn of_product(self, value: &Value<'_>) -> Result<Number, Raised> {
        match value {
            Value::Object(_) => Err(no_product(value)),
            _ => self.of(value),
        }
    }
}

fn float(value: &Value<'_>) -> Result<f64, Raised> {
    let it = match value {
        Value::Float(it) => *it,
        Value::Bool(it) => f64::from(u8::from(*it)),
        Value::Integer(digits) => match digits.parse::<i64>() {
            // Zero has no sign as an integer. To the nearest float, as Python.
            #[expect(clippy::cast_precision_loss, reason = "a float is what was asked for")]
            Ok(it) => it as f64,
            Err(_) => match digits.parse::<f64>() {
                Ok(it) if it.is_finite() => it,
                _ => return Err(Raised::Overflow("int too large to convert to float")),
            },
        },
        Value::Text(text) => float_of_text(text)?,
        Value::Null | Value::List(_) | Value::Object(_) => {
            return Err(Raised::Type(format!(
                "float() argument must be a string or a real number, not '{}'",
                value.type_name()
            )));
        }
    };
    if it.is_finite() { Ok(it) } else { Err(refused(format!("{it} is not a number that JSON can hold"))) }
}

fn integer(value: &Value<'_>) -> Result<i128, Raised> {
    match value {
        Value::Float(it) => truncated(*it),
        Value::Bool(it) => Ok(i128::from(*it)),
        Value::Integer(digits) => digits.parse().map_err(|_| too_large()),
        Value::Text(text) => integer_of_text(text),
        Value::Null | Value::List(_) | Value::Object(_) => Err(Raised::Type(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            value.type_name()
        ))),
    }
}

fn seconds(value: &Value<'_>) -> Result<i128, Raised> {
    match value {
        Value::Float(it) => truncated(it * 60.0),
        Value::Text(text) => Err(refused(format!(
            "{} is text, which times 60 would be repeated: write minutes as a number",
            quoted(text)
        ))),
        Value::Object(_) => Err(no_product(value)),
        _ => integer(value)?.checked_mul(MINUTE).ok_or_else(too_large),
    }
}

fn no_product(value: &Value<'_>) -> Raised {
    Raised::Type(format!("unsupported operand type(s) for *: '{}' and 'int'", value.type_name()))
}

fn too_large() -> Raised {
    refused("an integer of more than 128 bits counts nothing")
}

#[expect(clippy::cast_possible_truncation, reason = "cut towards zero, within what an i128 holds")]
fn truncated(it: f64) -> Result<i128, Raised> {
    if it.is_infinite() {
        Err(Raised::Overflow("cannot convert float infinity to integer"))
    } else if it.abs() < TOO_LARGE {
        Ok(it as i128)
    } else {
        Err(too_large())
    }
}

fn float_of_text(text: &str) -> Result<f64, Raised> {
    digits(text)
        .and_then(|clean| clean.parse().ok())
        .ok_or_else(|| Raised::Value(format!("could not convert string to float: {}", quoted(text))))
}

fn integer_of_text(text: &str) -> Result<i128, Raised> {
    let clean = digits(text).filter(|clean| {
        let unsigned = clean.strip_prefix(['+', '-']).unwrap_or(clean);
        !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit())
    });
    let Some(clean) = clean else {
        let shown: String = quoted(text).chars().take(SHOWN).collect();
        return Err(Raised::Value(format!("invalid literal for int() with base 10: {shown}")));
    };
    clean.parse().map_err(|_| too_large())
}

/// The text without white space around it and without the `_` that Python allows between digits; none where
/// there is one elsewhere.
fn digits(text: &str) -> Option<Cow<'_, str>> {
    // White space as Python counts it in numbers: ASCII's separators (U+001C to U+001F) are none.
    let text =
        text.trim_matches(|c: char| matches!(c, '\t'..='\r' | ' ') || (!c.is_ascii() && c.is_whitespace()));
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let parts = || text.split('_');
    let inner = |part: &str| part.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let outer = |part: &str| part.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    let after = parts().skip(1).all(inner);
    let before = parts().zip(parts().skip(1)).all(|(part, _)| outer(part));
    (after && before).then(|| Cow::Owned(text.replace('_', "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn cast(cast: Cast, json: &str) -> Result<String, Raised> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        cast.of(&Value::read(raw).unwrap()).map(|number| {
            let mut out = Vec::new();
            number.write(&mut out);
            String::from_utf8(out).unwrap()
        })
    }

    fn ok(of: Cast, json: &str, written: &str) {
        assert_eq!(cast(of, json).as_deref(), Ok(written), "{of:?} of {json}");
    }

    #[test]
    fn a_value_is_a_float_whatever_it_was() {
        for (json, written) in [
            ("72", "72.0"),
            ("-0", "0.0"),
            ("-0.0", "-0.0"),
            ("true", "1.0"),
            ("9007199254740993", "9007199254740992.0"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            (r#"" 72.5\u00a0""#, "72.5"),
            (r#""1_0.2_5e1_0""#, "102500000000.0"),
            (r#""+.5""#, "0.5"),
            (r#""5.""#, "5.0"),
        ] {
            ok(Cast::Float, json, written);
        }
    }

    #[test]
    fn an_integer_is_cut_towards_zero() {
        for (json, written) in [
            ("8432.9", "8432"),
            ("-0.5", "0"),
            ("false", "0"),
            ("1e20", "100000000000000000000"),
            ("18446744073709551616", "18446744073709551616"),
            (r#"" +007 ""#, "7"),
            (r#""1_000""#, "1000"),
        ] {
            ok(Cast::Integer, json, written);
        }
    }

    #[test]
    fn minutes_are_multiplied_before_they_are_cut() {
        for (json, written) in
            [("8.2", "491"), ("32.5", "1950"), ("0.29", "17"), ("true", "60"), ("412", "24720")]
        {
            ok(Cast::Minutes, json, written);
        }
    }

    #[test]
    fn what_is_no_number_is_told_in_pythons_words() {
        let value = |text: &str| Err(Raised::Value(text.to_owned()));
        assert_eq!(cast(Cast::Float, r#""abc""#), value("could not convert string to float: 'abc'"));
        for text in ["", "_1", "1_", "1__0", "1_.0", "1._0", "0x1", "- 5", "5\\u0000", "\\u001f5", "."] {
            assert!(cast(Cast::Float, &format!("\"{text}\"")).is_err(), "{text}");
        }
        assert_eq!(
            cast(Cast::Integer, r#""8432.0""#),
            value("invalid literal for int() with base 10: '8432.0'")
        );
        assert_eq!(
            cast(Cast::Integer, "null"),
            Err(Raised::Type(
                "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
                    .into()
            ))
        );
    }

    #[test]
    fn what_would_be_wrong_or_no_json_is_refused() {
        let refused = |of, json| matches!(cast(of, json), Err(Raised::Refused(_)));
        for json in ["1e400", r#""nan""#, r#""-Infinity""#] {
            assert!(refused(Cast::Float, json), "{json}");
        }
        assert!(refused(Cast::Minutes, r#""72""#));
        for json in ["1e300", "1000000000000000000000000000000000000000"] {
            assert!(refused(Cast::Integer, json), "{json}");
        }
        assert!(refused(Cast::Minutes, "170141183460469231731687303715884105727"));
        assert_eq!(
            cast(Cast::Integer, "1e400"),
            Err(Raised::Overflow("cannot convert float infinity to integer"))
        );
    }
}
