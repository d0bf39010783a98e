//! Errors that end a command: what happened, what to do next, and the exit code that says which kind.

use std::fmt;

/// An error that ends the process, told to the person who started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened, and to whom.
    pub what: String,
    /// What to do next.
    pub next: String,
    /// The process's exit code.
    pub code: u8,
}

/// Exit code of a command that could not do its work.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a command, setting or file that was wrong before any work began; nothing was written.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a poll that was done, with some patients in error.
pub const EXIT_PARTIAL: u8 = 3;

impl Failure {
    /// Something was wrong with the work or the world: exit code 1.
    pub fn failed(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into(), code: EXIT_FAILED }
    }

    /// Something was wrong with what the caller gave: exit code 2, nothing written.
    pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into(), code: EXIT_USAGE }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.next) }
    }
}

impl std::error::Error for Failure {}

/// How a handshake ends where the answer is no TLS at all, but plain HTTP, say.
const NO_TLS: &str = "received corrupt message of type InvalidContentType";

/// What lies at the bottom of an error: the part that says something.
pub(crate) fn deepest_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.to_string() {
        text if text == NO_TLS => "the server there does not speak TLS: is its address http:// ?".to_owned(),
        text => text,
    }
}
