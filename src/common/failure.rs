//! Errors that end a command, with a remedy and an exit code.

use std::error::Error;
use std::fmt;

/// An error that ends the process and is shown to the person who started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    /// The next step for the reader; may be empty.
    pub remedy: String,
    /// Exit code of the process.
    pub code: u8,
}

/// Exit code of a command that could not do its work.
pub const EXIT_FAILED: u8 = 1;
/// Exit code for wrong arguments, settings or files. Nothing was written.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of a poll that ended with some patients in error.
pub const EXIT_PARTIAL: u8 = 3;

impl Failure {
    /// Returns a failure with exit code 1.
    pub fn failed(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into(), code: EXIT_FAILED }
    }

    /// Returns true if the caller's input is wrong.
    pub fn is_usage(&self) -> bool {
        self.code == EXIT_USAGE
    }

    /// Returns a failure with exit code 2: the caller's input is wrong and nothing was written.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, ..Self::failed(message, remedy) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.remedy) }
    }
}

impl Error for Failure {}

/// The message of a TLS handshake that receives plain HTTP or any other bytes that are not TLS.
const NOT_TLS: &str = "received corrupt message of type InvalidContentType";

/// Returns the text of the innermost error, which names the actual problem.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.to_string() {
        text if text.contains("UnknownIssuer") => {
            "its certificate is signed by an authority that this machine does not know; if it is your own, name a file \
             with the authority's certificate in SSL_CERT_FILE"
                .to_owned()
        }
        text if text == NOT_TLS => "the server there does not speak TLS: is its address http:// ?".to_owned(),
        text => text,
    }
}
