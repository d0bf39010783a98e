//! `jhe-ow convert`: records as OW or a provider sends them in, the data points that they would be stored as out.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

use clap::Args;
use jiff::tz::TimeZone;

use crate::common::failure::{EXIT_PARTIAL, Failure};
use crate::common::stdout::finish;
use crate::common::time::{TimeError, Timestamp};
use crate::model::patient::{OwUser, parse_time_zone};
use crate::poll::preview::{Converted, Preview};

/// Bytes read and written at a time.
const BUFFER: usize = 64 * 1024;

/// Bytes of a line; longer ones are refused, so that memory stays bounded. A night of Oura's sleep with a value for
/// each five minutes has 20 kB.
const LONGEST_LINE: usize = 1024 * 1024;

/// The end of `--help`.
pub(crate) const HELP: &str = r#"Each line of standard input is one record, as OW or Oura sends it:

  {"timestamp": "2026-04-09T08:30:00Z", "type": "heart_rate", "value": 72, "unit": "bpm", "source": {"provider": "oura"}}

A record of OW's /timeseries, /events/sleep, /events/workouts or /summaries/activity is converted as in normalized mode, one of Oura's own endpoints as in raw mode; its keys tell which it is. The two records of a blood pressure stand in one line, as a JSON list.

Each line of standard output answers one line of input, in order: {"data_points": [...], "rejected": [...]}. The data points are, byte for byte, what the daemon would store and `jhe-ow observations` would print; a night makes up to six. The reasons are those that `jhe-ow rejected list` would show. Both lists are empty for a record without a measurement. A line that is not JSON is answered with {"error": "..."}; the next lines are converted all the same, and the exit code is 3. Else it is 0, also where records are rejected. No configuration, data directory or network is needed."#;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Time zone whose days are the patient's: a name such as Europe/Berlin, or an offset such as +02:00
    #[arg(long, default_value = "UTC", value_parser = parse_time_zone, allow_hyphen_values = true)]
    tz: TimeZone,
    /// The OW user whose records they are; part of each identifier
    #[arg(long, value_name = "UUID")]
    ow_user: Option<OwUser>,
    /// When OW stored them: the time of Oura's weight and height, which have none of their own
    #[arg(long, value_name = "TIME", value_parser = parse_stored)]
    stored: Option<Timestamp>,
}

fn parse_stored(text: &str) -> Result<Timestamp, TimeError> {
    Timestamp::parse(text)
}

/// Converts standard input to its end.
pub(crate) fn run(arguments: Arguments) -> Result<u8, Failure> {
    let subject = arguments.ow_user.map(|user| user.as_str().to_owned()).unwrap_or_default();
    let preview = Preview { zone: arguments.tz, subject, stored: arguments.stored };
    convert(preview, std::io::stdin().lock(), std::io::stdout().lock())
}

fn convert(preview: Preview, input: impl Read, output: impl Write) -> Result<u8, Failure> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut answers = Answers { output, preview, waiting: Vec::new(), unread: 0 };
    // The beginning of a line whose end has not been read yet.
    let mut begun = Vec::new();
    loop {
        // A caller that writes line by line gets each answer before the next line is waited for.
        if input.buffer().is_empty() && !answers.send()? {
            return Ok(0);
        }
        let read = match input.fill_buf() {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::failed(
                    format!("standard input cannot be read: {error}"),
                    "give it a file or a pipe",
                ));
            }
        };
        if read.is_empty() {
            break;
        }
        let length = match read.iter().position(|byte| *byte == b'\n') {
            Some(end) if begun.is_empty() => {
                answers.answer(&read[..end]);
                end + 1
            }
            Some(end) => {
                add(&mut begun, &read[..end]);
                answers.answer(&begun);
                begun.clear();
                end + 1
            }
            None => {
                add(&mut begun, read);
                read.len()
            }
        };
        input.consume(length);
        if answers.waiting.len() >= BUFFER && !answers.send()? {
            return Ok(0);
        }
    }
    if !begun.is_empty() {
        answers.answer(&begun);
    }
    if !answers.send()? || answers.unread == 0 {
        return Ok(0);
    }
    eprintln!("{} of the lines could not be read; their answers say why", answers.unread);
    Ok(EXIT_PARTIAL)
}

/// Appends to a begun line, up to the first byte too many: enough to see that the line is too long.
fn add(begun: &mut Vec<u8>, more: &[u8]) {
    let room = (LONGEST_LINE + 1).saturating_sub(begun.len());
    begun.extend_from_slice(&more[..more.len().min(room)]);
}

/// The answers, and those that have not been written yet.
struct Answers<W> {
    output: W,
    preview: Preview,
    waiting: Vec<u8>,
    unread: u64,
}

impl<W: Write> Answers<W> {
    fn answer(&mut self, line: &[u8]) {
        let converted = read(line).and_then(|text| self.preview.convert(text));
        self.unread += u64::from(converted.is_err());
        let answer = match converted {
            Ok(Converted { data_points, rejected }) => {
                let rejected = serde_json::json!(rejected);
                // A document is JSON already, and stays the same bytes.
                format!(r#"{{"data_points":[{}],"rejected":{rejected}}}"#, data_points.join(","))
            }
            Err(error) => serde_json::json!({ "error": error }).to_string(),
        };
        self.waiting.extend_from_slice(answer.as_bytes());
        self.waiting.push(b'\n');
    }

    /// Writes what waits; returns whether the reader still listens.
    fn send(&mut self) -> Result<bool, Failure> {
        let listening = finish(self.output.write_all(&self.waiting).and_then(|()| self.output.flush()))?;
        self.waiting.clear();
        Ok(listening)
    }
}

/// Returns the text of a line.
fn read(line: &[u8]) -> Result<&str, String> {
    if line.len() > LONGEST_LINE {
        return Err(format!("the line is longer than {LONGEST_LINE} bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    if text.trim_ascii().is_empty() { Err("the line is empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const SAMPLE: &str = r#"{"timestamp":"2026-04-09T08:30:00Z","type":"heart_rate","value":72}"#;

    fn preview() -> Preview {
        Preview { zone: TimeZone::UTC, subject: String::new(), stored: None }
    }

    /// A pipe that gives a byte at a time.
    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn converted(input: impl Read) -> (u8, Vec<String>) {
        let mut out = Vec::new();
        let code = convert(preview(), input, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn each_line_has_its_answer_in_order_however_it_arrives() {
        let text = format!("{SAMPLE}\n\nno JSON\r\n{SAMPLE}");
        let (code, at_once) = converted(text.as_bytes());
        let (_, in_parts) = converted(OneByOne(text.as_bytes()));
        assert_eq!((code, at_once.len()), (EXIT_PARTIAL, 4));
        assert_eq!(at_once, in_parts);
        assert!(
            at_once[0].starts_with(r#"{"data_points":[{"header":"#) && at_once[0] == at_once[3],
            "{at_once:?}"
        );
        assert!(at_once[1..3].iter().all(|line| line.starts_with(r#"{"error":"#)), "{at_once:?}");
    }

    #[test]
    fn a_line_without_end_is_refused_and_the_next_one_read() {
        let endless = std::io::repeat(b'x').take(5 * 1024 * 1024);
        let (code, lines) = converted(endless.chain(&b"\n"[..]).chain(SAMPLE.as_bytes()));
        assert_eq!((code, lines.len()), (EXIT_PARTIAL, 2));
        assert!(lines[0].contains("longer than 1048576 bytes"), "{lines:?}");
        assert!(lines[1].starts_with(r#"{"data_points":[{"header":"#), "{lines:?}");
    }

    /// The bytes written so far.
    struct Out<'a>(&'a RefCell<Vec<u8>>);

    impl Write for Out<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Input that gives a line at a time, and counts the answers first.
    struct Asker<'a>(&'a RefCell<Vec<u8>>, usize);

    impl Read for Asker<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert_eq!(self.0.borrow().lines().count(), self.1);
            if self.1 == 3 {
                return Ok(0);
            }
            self.1 += 1;
            let line = format!("{SAMPLE}\n");
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    #[test]
    fn an_answer_is_out_before_the_next_line_is_waited_for() {
        let out = RefCell::new(Vec::new());
        assert_eq!(convert(preview(), Asker(&out, 0), Out(&out)), Ok(0));
        assert_eq!(out.borrow().lines().count(), 3);
    }
}
