//! Standard output: a reader who has seen enough is no error.

use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Writes one line.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    finish(writeln!(std::io::stdout().lock(), "{line}")).map(drop)
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
