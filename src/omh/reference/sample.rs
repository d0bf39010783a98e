//! A sample: the fields of a JSON object, read only where they are asked for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Raised;
use super::value::{Value, items};
use super::write::{put, put_text};

/// Objects and lists in each other. No provider nests deeper than five.
pub(super) const MAX_DEPTH: usize = 64;

/// Fields of a usual sample, so that most are read without growing.
const USUAL: usize = 16;

/// The fields of an object in the order of their names; of two of one name the last counts, as in Python.
#[derive(Debug, Default)]
pub struct Sample<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Sample<'a> {
    /// The fields of this object; none where it is no object.
    pub(super) fn of(object: &'a RawValue) -> Self {
        serde_json::from_str(object.get()).unwrap_or_default()
    }

    /// The fields of this object in the order in which Python has them.
    pub(super) fn in_order(object: &'a RawValue) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        let Fields(fields) = serde_json::from_str(object.get()).unwrap_or_default();
        let mut kept: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            match kept.iter_mut().find(|(known, _)| *known == name) {
                Some(first) => first.1 = value,
                None => kept.push((name, value)),
            }
        }
        kept
    }

    /// `name in sample`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// `sample[name]`.
    ///
    /// # Errors
    /// Where it is not there.
    pub(super) fn must(&self, name: &'static str) -> Result<Value<'a>, Raised> {
        self.raw(name).ok_or(Raised::Key(name)).and_then(Value::read)
    }

    /// `sample.get(name)`; none also where it is null.
    ///
    /// # Errors
    /// As [`Value::read`].
    pub(super) fn may(&self, name: &str) -> Result<Option<Value<'a>>, Raised> {
        match self.raw(name).map(Value::read).transpose()? {
            None | Some(Value::Null) => Ok(None),
            value => Ok(value),
        }
    }

    /// `sample.get(name) or {}`: the fields of an object in this one.
    ///
    /// # Errors
    /// Where it is something else that is not empty either.
    pub(super) fn inside(&self, name: &str) -> Result<Inside<'a>, Raised> {
        Ok(match self.may(name)? {
            Some(Value::Object(object)) => Inside::Fields(Self::of(object)),
            Some(other) if other.is_true() => Inside::Other(other.type_name()),
            _ => Inside::Fields(Self::default()),
        })
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Writes the one text that all writings of this sample have in common: no white space, names in order,
    /// escapes only where they must be. Numbers stay as they were written.
    ///
    /// # Errors
    /// Where it is nested too deep.
    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) -> Result<(), TooDeep> {
        write_fields(&self.fields, out, MAX_DEPTH)
    }
}

/// What stands where an object in a sample should be. Python notices only when it is asked for a field.
pub(super) enum Inside<'a> {
    Fields(Sample<'a>),
    /// Something else, of this type.
    Other(&'static str),
}

impl<'a> Inside<'a> {
    /// # Errors
    /// Where it is no object.
    pub(super) fn fields(&self) -> Result<&Sample<'a>, Raised> {
        match self {
            Self::Fields(fields) => Ok(fields),
            Self::Other(what) => Err(Raised::Attribute(format!("'{what}' object has no attribute 'get'"))),
        }
    }
}

/// A sample is nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooDeep;

fn write_fields(
    fields: &[(Cow<'_, str>, &RawValue)],
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), TooDeep> {
    out.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match name {
            // It had no escapes, so it needs none.
            Cow::Borrowed(name) => put(out, &["\"", name, "\""]),
            Cow::Owned(name) => put_text(out, name),
        }
        out.push(b':');
        write_value(value, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(value: &RawValue, out: &mut Vec<u8>, depth: usize) -> Result<(), TooDeep> {
    let text = value.get();
    let plain = |text: &str| !text.bytes().any(|byte| matches!(byte, b'"' | b'{' | b'[') || byte <= b' ');
    match text.as_bytes() {
        [b'{' | b'[', ..] if depth == 0 => return Err(TooDeep),
        // A list of nothing but numbers, such as one for each five minutes of a night.
        [b'[', ..] if plain(&text[1..]) => out.extend_from_slice(text.as_bytes()),
        [b'{', ..] => write_fields(&Sample::of(value).fields, out, depth - 1)?,
        [b'[', ..] => {
            out.push(b'[');
            for (index, item) in items(value).into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out, depth - 1)?;
            }
            out.push(b']');
        }
        [b'"', ..] if text.contains('\\') => match serde_json::from_str::<String>(text) {
            Ok(decoded) => put_text(out, &decoded),
            Err(_) => out.extend_from_slice(text.as_bytes()),
        },
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

/// The fields as they come.
#[derive(Default)]
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::with_capacity(USUAL);
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Sample<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields(mut fields) = Fields::deserialize(deserializer)?;
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        fields.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        Ok(Self { fields })
    }
}

/// A text that is borrowed where it can be.
pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        let sample: Sample = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        sample.write_canonical(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_sample_has_one_text_however_it_is_written() {
        let one = r#"{"value":72.50,"device":"Ring \"4\" é","nested":{"a":[1,{"c":null}],"b":2}}"#;
        let other = "{ \"nested\": {\"b\": 2, \"a\": [1, {\"c\": null}]}, \"device\": \"R\\u0069ng \\u00224\\\" \
                     \\u00e9\",\n \"value\": 1, \"value\": 72.50}";
        assert_eq!(canonical(one), canonical(other));
        assert!(canonical(one).starts_with(r#"{"device":"Ring \"4\" é","nested""#), "{}", canonical(one));
        assert_ne!(canonical(r#"{"value":1}"#), canonical(r#"{"value":1.0}"#));
    }

    #[test]
    fn a_sample_nested_without_end_is_not_followed() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let sample: Sample = serde_json::from_str(&deep).unwrap();
        assert_eq!(sample.write_canonical(&mut Vec::new()), Err(TooDeep));
    }
}
