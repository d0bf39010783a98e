//! `jhe-ow convert`: samples as lines of JSON in, data points as lines of JSON out.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

use super::out::finish;
use crate::failure::{EXIT_PARTIAL, Failure};
use crate::omh::reference::{Answer, Lines};

/// Bytes read and written at a time.
const BUFFER: usize = 64 * 1024;

/// Bytes of a line; longer ones are refused, so that memory stays the same whatever comes. A night of Oura's sleep with
/// a value for each five minutes has 20 kB.
const LONGEST_LINE: usize = 1024 * 1024;

/// What `--help` says at its end.
pub(super) const HELP: &str = r#"A line of standard input is a sample:

  {"source": "ow_normalized", "data_type": "step_count", "sample": {...}, "tz": "Europe/Berlin"}

The source is ow_normalized or oura_raw. The data types are those of omh-shim 2.1.0, and step_count and heart_rate_variability as 1.4.0 had them. tz says where a day was a day; only what covers whole days needs it.

A line of standard output answers it, in the same order: {"output": {"header", "body"}}, or {"error": {"type", "message"}} in the package's own words. LineError is the type of a line that cannot be read; the next ones are converted all the same, and the exit code is 3. Else it is 0, also where samples have errors. No configuration, data directory or network is needed.

Example:

  jhe-ow convert <samples.jsonl >data-points.jsonl"#;

/// Runs to the end of standard input.
pub(super) fn run() -> Result<u8, Failure> {
    convert(std::io::stdin().lock(), std::io::stdout().lock())
}

fn convert(input: impl Read, output: impl Write) -> Result<u8, Failure> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut answers = Answers { output, lines: Lines::default(), waiting: Vec::new(), unread: 0 };
    // The beginning of a line whose end is not there yet.
    let mut begun = Vec::new();
    loop {
        // Whoever writes line by line gets each answer before the next line is waited for.
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

/// Keeps no more than tells that a line is too long.
fn add(begun: &mut Vec<u8>, more: &[u8]) {
    let room = (LONGEST_LINE + 1).saturating_sub(begun.len());
    begun.extend_from_slice(&more[..more.len().min(room)]);
}

/// What has been answered, and what of it has not gone out yet.
struct Answers<W> {
    output: W,
    lines: Lines,
    waiting: Vec<u8>,
    unread: u64,
}

impl<W: Write> Answers<W> {
    fn answer(&mut self, line: &[u8]) {
        let answer = if line.len() > LONGEST_LINE {
            self.lines.too_long(LONGEST_LINE, &mut self.waiting)
        } else {
            self.lines.answer(line, &mut self.waiting)
        };
        self.unread += u64::from(answer == Answer::Unread);
        self.waiting.push(b'\n');
    }

    /// Answers whether the reader still listens.
    fn send(&mut self) -> Result<bool, Failure> {
        let listening = finish(self.output.write_all(&self.waiting).and_then(|()| self.output.flush()))?;
        self.waiting.clear();
        Ok(listening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const SAMPLE: &str = r#"{"source":"ow_normalized","data_type":"heart_rate","sample":{"value":72,"timestamp":"2026-04-09T08:30:00Z"}}"#;

    /// A pipe that gives a byte at a time.
    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn converted(input: impl Read) -> (u8, Vec<String>) {
        let mut out = Vec::new();
        let code = convert(input, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn each_line_has_its_answer_in_order_however_it_arrives() {
        let text = format!("{SAMPLE}\n\nno JSON\r\n{SAMPLE}");
        let (code, at_once) = converted(text.as_bytes());
        let (_, in_parts) = converted(OneByOne(text.as_bytes()));
        assert_eq!((code, at_once.len()), (EXIT_PARTIAL, 4));
        assert_eq!(at_once, in_parts);
        assert!(at_once[0].starts_with(r#"{"output":"#) && at_once[0] == at_once[3], "{at_once:?}");
        assert!(at_once[1..3].iter().all(|line| line.contains("LineError")), "{at_once:?}");
    }

    #[test]
    fn a_line_without_end_is_refused_and_the_next_one_read() {
        let endless = std::io::repeat(b'x').take(5 * 1024 * 1024);
        let (code, lines) = converted(endless.chain(&b"\n"[..]).chain(SAMPLE.as_bytes()));
        assert_eq!((code, lines.len()), (EXIT_PARTIAL, 2));
        assert!(lines[0].contains("longer than 1048576 bytes"), "{lines:?}");
        assert!(lines[1].starts_with(r#"{"output":"#), "{lines:?}");
    }

    /// What has gone out so far.
    struct Out<'a>(&'a RefCell<Vec<u8>>);

    impl Write for Out<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Writes a line each time it is asked, and looks how many have been answered by then.
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
        assert_eq!(convert(Asker(&out, 0), Out(&out)), Ok(0));
        assert_eq!(out.borrow().lines().count(), 3);
    }
}
