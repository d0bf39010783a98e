//! Writes a table as CSV (RFC 4180), with a header line.

use std::io::Write;

use jiff::civil::Date;

use crate::common::csv_line::{is_formula, needs_quotes};
use crate::dataset::table::{Cell, ColumnType, TableWriter};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A table that is being written as CSV.
pub struct CsvWriter<W> {
    out: W,
    types: Vec<ColumnType>,
    buffer: Vec<u8>,
    bytes: u64,
    /// The day that was written last, in days since 1970, with its text.
    day: (i64, [u8; 10]),
}

impl<W: Write> CsvWriter<W> {
    /// Begins a table, with a header line if there is one.
    pub fn new(out: W, types: Vec<ColumnType>, header: Option<&[&str]>) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + 4096);
        if let Some(names) = header {
            buffer.extend_from_slice(names.join(",").as_bytes());
            buffer.extend_from_slice(b"\r\n");
        }
        Self { out, types, buffer, bytes: 0, day: (i64::MIN, [0; 10]) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Appends an instant or local time with six digits of fraction.
    fn push_time(&mut self, micros: i64, is_utc: bool) {
        let day = micros.div_euclid(MICROS_PER_DAY);
        if self.day.0 != day {
            let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
            let mut text = [0; 10];
            text.copy_from_slice(&date_text(date));
            self.day = (day, text);
        }
        self.buffer.extend_from_slice(&self.day.1);
        let micros = micros.rem_euclid(MICROS_PER_DAY);
        let seconds = micros / MICROS_PER_SECOND;
        self.buffer.push(b'T');
        for (separator, part) in [(b':', seconds / 3600), (b':', seconds / 60 % 60), (b'.', seconds % 60)] {
            self.buffer.extend_from_slice(&[digit(part / 10), digit(part), separator]);
        }
        let fraction = micros % MICROS_PER_SECOND;
        for power in [100_000, 10_000, 1000, 100, 10, 1] {
            self.buffer.push(digit(fraction / power));
        }
        if is_utc {
            self.buffer.push(b'Z');
        }
    }
}

impl<W: Write> TableWriter for CsvWriter<W> {
    fn write(&mut self, row: &[Cell<'_>]) -> std::io::Result<()> {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                self.buffer.push(b',');
            }
            match *cell {
                Cell::Null => {}
                Cell::Text(text) => push_text(&mut self.buffer, text),
                Cell::Number(number) => push_number(&mut self.buffer, number)?,
                Cell::Integer(number) => {
                    self.buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                }
                Cell::Boolean(is) => self.buffer.extend_from_slice(if is { b"true" } else { b"false" }),
                Cell::Micros(micros) => {
                    let is_utc = self.types.get(index) == Some(&ColumnType::Instant);
                    self.push_time(micros, is_utc);
                }
                Cell::Date(date) => self.buffer.extend_from_slice(&date_text(date)),
                Cell::Identifier(uuid) => {
                    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                    self.buffer.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
                }
            }
        }
        self.buffer.extend_from_slice(b"\r\n");
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> std::io::Result<u64> {
        self.flush()?;
        self.out.flush()?;
        Ok(self.bytes)
    }
}

/// Appends a number. Most are whole, and those are written faster.
#[expect(clippy::cast_possible_truncation, reason = "it is far below what an integer holds")]
fn push_number(buffer: &mut Vec<u8>, number: f64) -> std::io::Result<()> {
    const WHOLE: f64 = 1e15;
    if number.fract() == 0.0 && number.abs() < WHOLE {
        buffer.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
        return Ok(());
    }
    write!(buffer, "{number}")
}

/// Appends a text. A spreadsheet runs a text that begins like a formula, so such a text gets a `'` before it.
pub fn push_text(buffer: &mut Vec<u8>, text: &str) {
    let is_formula = is_formula(text);
    let is_quoted = needs_quotes(text);
    if is_quoted {
        buffer.push(b'"');
    }
    if is_formula {
        buffer.push(b'\'');
    }
    for byte in text.bytes() {
        if byte == b'"' {
            buffer.push(b'"');
        }
        buffer.push(byte);
    }
    if is_quoted {
        buffer.push(b'"');
    }
}

fn date_text(date: Date) -> [u8; 10] {
    let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    let (y, m, d) = (digit, digit, digit);
    [
        y(year / 1000),
        y(year / 100),
        y(year / 10),
        y(year),
        b'-',
        m(month / 10),
        m(month),
        b'-',
        d(day / 10),
        d(day),
    ]
}

/// Returns the last decimal digit of a number from 0 on.
#[expect(clippy::cast_possible_truncation, reason = "it is from 0 to 9")]
fn digit(number: i64) -> u8 {
    b'0' + number.rem_euclid(10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut buffer = Vec::new();
        push_text(&mut buffer, text);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn a_text_is_quoted_where_it_must_be_and_never_runs_as_a_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=HYPERLINK(1,2)"), "\"'=HYPERLINK(1,2)\"");
        for formula in ["=1", "+1", "-1", "@SUM(1)", " =1", "\0=1", "＝1", "\u{a0}＠SUM(1)"] {
            assert_eq!(quoted(formula), format!("'{formula}"));
        }
        assert_eq!(quoted("\t1"), "\"'\t1\"");
        assert_eq!(quoted("a;=1"), "\"a;=1\"", "a spreadsheet that splits at semicolons sees no new cell");
    }

    #[test]
    fn an_instant_has_a_fixed_precision() {
        let mut writer = CsvWriter::new(Vec::new(), Vec::new(), None);
        for micros in [0, -1, 1_795_940_400_123_456] {
            writer.push_time(micros, true);
            writer.buffer.push(b' ');
        }
        let text = String::from_utf8(writer.buffer.clone()).unwrap();
        assert_eq!(
            text,
            "1970-01-01T00:00:00.000000Z 1969-12-31T23:59:59.999999Z 2026-11-29T08:20:00.123456Z "
        );
    }
}
