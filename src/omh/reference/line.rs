//! A line of input, and the line that answers it.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::sample::{Name, Sample};
use super::{ConvertError, ErrorKind, convert};

/// What a line says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    source: Name<'a>,
    #[serde(borrow)]
    data_type: Name<'a>,
    #[serde(borrow)]
    sample: Sample<'a>,
    #[serde(borrow, default)]
    tz: Option<Name<'a>>,
    #[serde(default)]
    strict: bool,
    #[serde(borrow, default)]
    schema: Option<Name<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answered<'a, T: Serialize> {
    Output(T),
    Error(&'a ConvertError),
}

/// How a line was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With a data point.
    Output,
    /// With the reason why the sample has none.
    Error,
    /// With the reason why the line could not be read.
    Unread,
}

/// Converts lines, one after another.
#[derive(Debug, Default)]
pub struct Lines {
    scratch: Vec<u8>,
}

impl Lines {
    /// Answers one line of JSON with another, without its end. The same line is always answered with the same bytes.
    pub fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) -> Answer {
        let begin = out.len();
        let answered = self.convert(line, out);
        match answered {
            Ok(()) => Answer::Output,
            Err(error) => {
                out.truncate(begin);
                refuse(&error, out)
            }
        }
    }

    /// Answers a line that is longer than `limit` bytes.
    pub fn too_long(&mut self, limit: usize, out: &mut Vec<u8>) -> Answer {
        refuse(&unreadable(format!("the line is longer than {limit} bytes")), out)
    }

    fn convert(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), ConvertError> {
        if line.trim_ascii().is_empty() {
            return Err(unreadable("the line is empty"));
        }
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| {
            // There is but one line.
            let text = error.to_string().replace(" at line 1 column ", " at column ");
            unreadable(format!("the line cannot be read: {text}"))
        })?;
        let zone = line.tz.as_ref().map(|Name(zone)| time_zone(zone)).transpose()?;
        if line.strict || line.schema.is_some() {
            let document = pipeline(&line, zone.as_ref())?;
            write(&Answered::Output(document), out);
            return Ok(());
        }
        let Line { source: Name(source), data_type: Name(data_type), sample, .. } = &line;
        let output = convert(source, data_type, sample, zone.as_ref(), &mut self.scratch)?;
        write(&Answered::Output(output), out);
        Ok(())
    }
}

fn refuse(error: &ConvertError, out: &mut Vec<u8>) -> Answer {
    write(&Answered::<()>::Error(error), out);
    if error.kind == ErrorKind::LineError { Answer::Unread } else { Answer::Error }
}

/// The door to what the daemon itself makes of a sample: a line that asks for units to be checked, or for another
/// schema than the reference converter's.
fn pipeline(line: &Line<'_>, _zone: Option<&TimeZone>) -> Result<Box<RawValue>, ConvertError> {
    let schema = line.schema.as_ref().map_or(Cow::Borrowed("any schema"), |Name(schema)| schema.clone());
    Err(ConvertError::new(
        ErrorKind::NotSupported,
        format!("{} is not converted to {schema} with checks", line.data_type.0),
    ))
}

fn time_zone(name: &str) -> Result<TimeZone, ConvertError> {
    TimeZone::get(name).map_err(|_| {
        unreadable(format!("tz: there is no time zone '{name}'; write a name such as Europe/Berlin"))
    })
}

fn unreadable(message: impl Into<String>) -> ConvertError {
    ConvertError::new(ErrorKind::LineError, message)
}

fn write(answer: &impl Serialize, out: &mut Vec<u8>) {
    // Memory takes everything, and what is written has nothing that JSON cannot hold.
    let _ = serde_json::to_writer(out, answer);
}
