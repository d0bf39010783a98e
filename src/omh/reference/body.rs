//! A body: fields in the order in which the reference converter writes them.

use std::borrow::Cow;

use super::error::Raised;
use super::moment::Frame;
use super::number::{Cast, Number};
use super::sample::Sample;
use super::value::Value;
use super::write::{put, put_text};

/// Fields of the largest body, so that it never grows.
const FIELDS: usize = 10;

/// The body of a data point, and what its schema finds wrong with it.
#[derive(Debug)]
pub(super) struct Body<'a> {
    fields: Vec<(&'static str, Field<'a>)>,
    frame: Option<Frame>,
    /// What does not conform: where, and the value in Python's words.
    pub(super) violation: Option<String>,
}

#[derive(Debug)]
enum Field<'a> {
    Measure(Measure),
    Frame(Frame),
    Word(&'static str),
    Text(Cow<'a, str>),
    Flag(bool),
    Inner(Body<'a>),
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    value: Number,
    unit: &'static str,
}

/// A measure that a body has where the sample has it: name in the body, name in the sample, conversion, unit.
pub(super) type Optional = (&'static str, &'static str, Cast, &'static str);

impl<'a> Body<'a> {
    pub(super) fn new() -> Self {
        Self { fields: Vec::with_capacity(FIELDS), frame: None, violation: None }
    }

    pub(super) fn measure(&mut self, name: &'static str, value: Number, unit: &'static str) {
        self.fields.push((name, Field::Measure(Measure { value, unit })));
    }

    pub(super) fn frame(&mut self, frame: Frame) {
        self.frame = Some(frame);
        self.fields.push(("effective_time_frame", Field::Frame(frame)));
    }

    pub(super) fn word(&mut self, name: &'static str, word: &'static str) {
        self.fields.push((name, Field::Word(word)));
    }

    pub(super) fn flag(&mut self, name: &'static str, flag: bool) {
        self.fields.push((name, Field::Flag(flag)));
    }

    pub(super) fn inner(&mut self, name: &'static str, body: Self) {
        self.fields.push((name, Field::Inner(body)));
    }

    /// A field that the schema wants to be text.
    ///
    /// # Errors
    /// Where it cannot even be shown.
    pub(super) fn text(&mut self, name: &'static str, value: Value<'a>) -> Result<(), Raised> {
        match value {
            Value::Text(text) => self.fields.push((name, Field::Text(text))),
            other => self.violation = Some(format!("{name}: {} is not of type 'string'", other.shown()?)),
        }
        Ok(())
    }

    /// Each of these that the sample has.
    ///
    /// # Errors
    /// The first that cannot be converted.
    pub(super) fn optional(&mut self, sample: &Sample<'a>, fields: &[Optional]) -> Result<(), Raised> {
        for (name, field, cast, unit) in fields {
            if let Some(value) = sample.may(field)? {
                self.measure(name, cast.of_product(&value)?, unit);
            }
        }
        Ok(())
    }

    /// When it was measured. Every body has a frame.
    pub(super) fn time(&self) -> Option<Frame> {
        self.frame
    }

    /// What is on the wire.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut separator = "{\"";
        for (name, field) in &self.fields {
            put(out, &[separator, name, "\":"]);
            separator = ",\"";
            match field {
                Field::Measure(Measure { value, unit }) => {
                    put(out, &["{\"value\":"]);
                    value.write(out);
                    put(out, &[",\"unit\":\"", unit, "\"}"]);
                }
                Field::Frame(frame) => frame.write(out),
                Field::Word(word) => put(out, &["\"", word, "\""]),
                Field::Text(text) => put_text(out, text),
                Field::Flag(flag) => put(out, &[if *flag { "true" } else { "false" }]),
                Field::Inner(body) => body.write(out),
            }
        }
        // Every body has a field.
        out.push(b'}');
    }
}
