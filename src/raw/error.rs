//! Errors of calls to S3, by the part of the work that they end.

use s3::error::S3Error;

use crate::common::{failure::root_cause, redact::redact};

/// Characters of the server's error text that are passed on.
const ERROR_CHARS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Every other call would fail alike, so the tick stops.
    #[error("{0}")]
    Bucket(String),
    /// Ends the turn of one patient.
    #[error("{0}")]
    Patient(String),
    /// The object does not exist.
    #[error("it is not in the bucket any more (404)")]
    Missing,
    /// Concerns one object.
    #[error("{0}")]
    Object(String),
    /// Concerns one object, and may pass.
    #[error("{0}")]
    Transient(String),
}

/// The error of one call, before its meaning for a listing or an object is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum S3CallError {
    Unreachable(String),
    Transient(String),
    /// A status that means no.
    Refused {
        status: u16,
        /// The server's error text, with a space before it; or empty.
        text: String,
    },
    /// The response cannot be parsed, or the request cannot be signed.
    Invalid(String),
}

impl From<reqwest::Error> for S3CallError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let cause = root_cause(&error);
        if error.is_connect() {
            Self::Unreachable(format!("it cannot be reached ({cause})"))
        } else if error.is_timeout() {
            Self::Transient("it did not answer in time".to_owned())
        } else {
            Self::Transient(format!("the connection broke ({cause})"))
        }
    }
}

impl From<S3Error> for S3CallError {
    /// Converts an error of signing a request.
    fn from(error: S3Error) -> Self {
        Self::invalid(&error.to_string())
    }
}

impl S3CallError {
    pub(crate) fn invalid(message: &str) -> Self {
        Self::Invalid(message.chars().take(ERROR_CHARS).collect())
    }

    /// Classifies a response that is no success. `location` is the target of a redirect, which is not
    /// followed: the signature is for one server.
    pub(crate) fn from_response(status: u16, body: &str, location: Option<&str>, secrets: &[&str]) -> Self {
        let text = error_text(body, secrets);
        match status {
            408 | 429 | 500..=599 => Self::Transient(format!("it answered {status}{text}")),
            300..=399 => {
                let target =
                    redact(location.unwrap_or("another place"), ERROR_CHARS, secrets.iter().copied());
                Self::Refused { status, text: format!("{text}, and points to {target}") }
            }
            _ => Self::Refused { status, text },
        }
    }

    /// Returns true if another try within this tick may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Transient(_))
    }

    /// Returns the meaning of an error of a listing. It names the setting to look at.
    pub(crate) fn of_listing(self, bucket: &str, address: &str) -> RawError {
        let at = format!("the bucket '{bucket}' at {address}");
        RawError::Bucket(match self {
            Self::Unreachable(why) => format!("S3 at {address}: {why}: see ow.s3.endpoint_url"),
            // A prefix with many keys may be slow on its own. If all are, each patient's error says so.
            Self::Transient(why) => return RawError::Patient(format!("S3 at {address}: {why}")),
            Self::Refused { status: status @ (401 | 403), text } => format!(
                "{at} may not be listed ({status}{text}): see ow.s3.access_key_id and ow.s3.secret_access_key"
            ),
            Self::Refused { status: 404, text } => {
                format!("there is no bucket '{bucket}' at {address} (404{text}): see ow.s3.bucket_name")
            }
            Self::Refused { status, text } => {
                format!("{at} cannot be listed ({status}{text}): see ow.s3.endpoint_url and ow.s3.region")
            }
            Self::Invalid(why) => {
                format!("what answers at {address} is no S3 ({why}): see ow.s3.endpoint_url")
            }
        })
    }

    /// Returns the meaning of an error of a call about one object.
    pub(crate) fn of_object(self, address: &str) -> RawError {
        match self {
            Self::Unreachable(_) => self.of_listing("", address),
            Self::Refused { status: 404, .. } => RawError::Missing,
            Self::Refused { status: status @ (401 | 403), text } => {
                RawError::Object(format!("it may not be read ({status}{text}); the key needs s3:GetObject"))
            }
            Self::Refused { status, text } => RawError::Object(format!("S3 answered {status}{text}")),
            Self::Transient(why) => RawError::Transient(format!("S3: {why}")),
            Self::Invalid(why) => RawError::Object(format!("S3's answer cannot be read ({why})")),
        }
    }
}

/// Returns the code and the message of S3's error response, with a space before them; or nothing.
fn error_text(body: &str, secrets: &[&str]) -> String {
    let element = |tag: &str| {
        let (_, rest) = body.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(text, _)| text)
    };
    let texts: Vec<&str> = [element("Code"), element("Message")].into_iter().flatten().collect();
    if texts.is_empty() {
        return String::new();
    }
    format!(" {}", redact(&texts.join(": "), ERROR_CHARS, secrets.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> S3CallError {
        S3CallError::from_response(status, body, None, &[])
    }

    const DENIED: &str =
        "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>";

    #[test]
    fn each_error_says_which_setting_is_wrong() {
        let listing = |error: S3CallError| error.of_listing("b", "http://s").to_string();
        assert_eq!(
            listing(refused(403, DENIED)),
            "the bucket 'b' at http://s may not be listed (403 SignatureDoesNotMatch: no): see ow.s3.access_key_id \
             and ow.s3.secret_access_key"
        );
        assert!(listing(refused(404, "")).ends_with("(404): see ow.s3.bucket_name"));
        assert!(listing(refused(400, "")).ends_with("see ow.s3.endpoint_url and ow.s3.region"));
        assert_eq!(listing(refused(503, "")), "S3 at http://s: it answered 503");
        let elsewhere = S3CallError::from_response(307, "", Some("http://other/"), &[]);
        assert!(!elsewhere.is_transient());
        assert!(listing(elsewhere).contains("(307, and points to http://other/): see ow.s3.endpoint_url"));
    }

    #[test]
    fn the_refusal_of_an_object_concerns_no_other() {
        assert_eq!(refused(404, "").of_object("http://s"), RawError::Missing);
        assert!(matches!(refused(403, DENIED).of_object("http://s"), RawError::Object(_)));
        let gone = S3CallError::Unreachable("it is gone".into());
        assert!(gone.is_transient() && matches!(gone.of_object("http://s"), RawError::Bucket(_)));
        assert!(refused(503, "").is_transient() && !refused(403, DENIED).is_transient());
    }
}
