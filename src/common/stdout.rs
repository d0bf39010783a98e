//! Writing to standard output. A reader that closes the pipe early, such as `head`, is no error.

use std::io::{ErrorKind, Write};

use crate::common::{failure::Failure, visible::VisibleLine};

/// Prints one line. Control characters and direction marks in it, which may come from OW, JHE or a person, are escaped.
pub(crate) fn print_line(line: impl std::fmt::Display) -> Result<(), Failure> {
    check_write(writeln!(std::io::stdout().lock(), "{}", VisibleLine(line))).map(drop)
}

/// Prints lines that the program has laid out. Text of others in them is a [`VisibleLine`].
pub(crate) fn print_layout(lines: &str) -> Result<(), Failure> {
    check_write(writeln!(std::io::stdout().lock(), "{lines}")).map(drop)
}

/// Prints a JSON document on one line.
pub(crate) fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(document);
    print_line(
        line.map_err(|error| Failure::failed(format!("it is no JSON: {error}"), "report it with this text"))?,
    )
}

/// Returns false if the reader has closed the pipe, so that the caller can stop early.
pub(crate) fn check_write(written: std::io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(
            format!("standard output cannot be written: {error}"),
            "make room where it goes",
        )),
    }
}
