//! Standard output: a reader who has seen enough is no error.

use std::io::{ErrorKind, Write};

use crate::common::failure::Failure;

/// Writes one line.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    finish(writeln!(std::io::stdout().lock(), "{line}")).map(drop)
}

/// Writes one JSON document as a line.
pub(crate) fn say_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(document);
    say(line.map_err(|error| Failure::failed(format!("it is no JSON: {error}"), "report it with this text"))?)
}

/// Whether the reader still listens, after a write.
pub(crate) fn finish(written: std::io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(
            format!("standard output cannot be written: {error}"),
            "make room where it goes",
        )),
    }
}
