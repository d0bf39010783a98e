//! `jhe-ow convert`: reads records as OW or a provider sends them, and prints the data points that the daemon
//! would store.

use std::io::{BufRead, BufReader, Read, Write};

use clap::Args;
use jiff::tz::TimeZone;

use crate::common::clock::Clock;
use crate::common::failure::{EXIT_PARTIAL, Failure};
use crate::common::stdout::check_write;
use crate::common::time::{TimeError, Timestamp};
use crate::model::patient::{OwUser, parse_time_zone};
use crate::poll::preview::{Converted, Preview};

/// Bytes per read and write.
const BUFFER: usize = 64 * 1024;

/// Longer lines are refused, so that memory stays bounded. A night of Oura's sleep with a value for each five
/// minutes has 20 kB.
const MAX_LINE_BYTES: usize = 1024 * 1024;

pub(crate) const HELP: &str = r#"Each line of standard input is one record, as OW or Oura sends it:

  {"timestamp": "2026-04-09T08:30:00Z", "type": "heart_rate", "value": 72, "unit": "bpm", "source": {"provider": "oura"}}

A record of OW's /timeseries, /events/sleep, /events/workouts or /summaries/activity is converted as in normalized mode, one of Oura's own endpoints as in raw mode; its keys tell which it is. The two records of a blood pressure go into one line, as a JSON list.

Each line of standard output is the result of one line of input, in order: {"data_points": [...], "rejected": [...]}. The data points are, byte for byte, what the daemon would store and deliver (`jhe-ow observations` adds the patient and the studies); a night makes up to six. The reasons are those that `jhe-ow rejected list` would show. Both lists are empty for a record without a measurement. A line that is not JSON is answered with {"error": "..."}; the next lines are converted all the same, and the exit code is 3. Else it is 0, also where records are rejected. No configuration, data directory or network is needed.

Example:

  jhe-ow convert --tz Europe/Berlin <records.jsonl >converter.jsonl"#;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The patient's time zone: a name such as Europe/Berlin, or an offset such as +02:00
    #[arg(long, default_value = "UTC", value_parser = parse_time_zone, allow_hyphen_values = true)]
    tz: TimeZone,
    /// The OW user of the records; part of each identifier
    #[arg(long, value_name = "UUID")]
    ow_user: Option<OwUser>,
    /// The time at which OW stored the records: Oura's weight and height have no time of their own
    #[arg(long, value_name = "TIME", value_parser = parse_stored)]
    stored: Option<Timestamp>,
}

fn parse_stored(text: &str) -> Result<Timestamp, TimeError> {
    Timestamp::parse(text)
}

pub(crate) fn run(arguments: Arguments) -> Result<u8, Failure> {
    let subject = arguments.ow_user.map(|user| user.as_str().to_owned()).unwrap_or_default();
    let preview = Preview { zone: arguments.tz, subject, stored: arguments.stored, now: Clock::System.now() };
    convert(preview, std::io::stdin().lock(), std::io::stdout().lock())
}

fn convert(preview: Preview, input: impl Read, output: impl Write) -> Result<u8, Failure> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut converter = LineConverter { output, preview, pending: Vec::new(), unreadable: 0 };
    let unreadable = |error: std::io::Error| {
        Failure::failed(format!("standard input cannot be read: {error}"), "give it a file or a pipe")
    };
    let mut line = Vec::new();
    loop {
        // Write before a read that may block: a caller that sends line by line gets each result first.
        let may_block = !input.buffer().contains(&b'\n');
        if (may_block || converter.pending.len() >= BUFFER) && !converter.flush()? {
            return Ok(0);
        }
        line.clear();
        let limit = MAX_LINE_BYTES + 1;
        if input.by_ref().take(limit as u64).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        let is_cut = line.len() == limit && !line.ends_with(b"\n");
        if is_cut {
            input.skip_until(b'\n').map_err(unreadable)?;
        }
        converter.convert_line(line.strip_suffix(b"\n").unwrap_or(&line));
    }
    if !converter.flush()? || converter.unreadable == 0 {
        return Ok(0);
    }
    eprintln!("{} of the lines could not be read; their results say why", converter.unreadable);
    Ok(EXIT_PARTIAL)
}

struct LineConverter<W> {
    output: W,
    preview: Preview,
    /// Output that is not written yet.
    pending: Vec<u8>,
    unreadable: u64,
}

impl<W: Write> LineConverter<W> {
    fn convert_line(&mut self, line: &[u8]) {
        let converted = line_text(line).and_then(|text| self.preview.convert(text));
        self.unreadable += u64::from(converted.is_err());
        let result = match converted {
            Ok(Converted { data_points, rejected }) => {
                let rejected = serde_json::json!(rejected);
                // A document is JSON already; rendering it again could change its bytes.
                format!(r#"{{"data_points":[{}],"rejected":{rejected}}}"#, data_points.join(","))
            }
            Err(error) => serde_json::json!({ "error": error }).to_string(),
        };
        self.pending.extend_from_slice(result.as_bytes());
        self.pending.push(b'\n');
    }

    /// Writes the pending output. Returns whether the reader still listens.
    fn flush(&mut self) -> Result<bool, Failure> {
        let listening = check_write(self.output.write_all(&self.pending).and_then(|()| self.output.flush()))?;
        self.pending.clear();
        Ok(listening)
    }
}

fn line_text(line: &[u8]) -> Result<&str, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("the line is longer than {MAX_LINE_BYTES} bytes"));
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
        Preview {
            zone: TimeZone::UTC,
            subject: String::new(),
            stored: None,
            now: Timestamp::parse("2026-11-28T00:00:00Z").unwrap(),
        }
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
    fn each_line_has_its_result_in_order_however_it_arrives() {
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

    /// Input that gives a line at a time, and counts the results first.
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
    fn a_result_is_written_before_the_next_line_is_awaited() {
        let out = RefCell::new(Vec::new());
        assert_eq!(convert(preview(), Asker(&out, 0), Out(&out)), Ok(0));
        assert_eq!(out.borrow().lines().count(), 3);
    }
}
