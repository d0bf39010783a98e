//! What can go wrong with the bucket, by whom it concerns.

use s3::error::S3Error;

use crate::common::failure::deepest_cause;
use crate::common::redact::quote;

/// Characters of the server's own words that are passed on.
const WORDS: usize = 200;

/// Why the bucket did not give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Every other call would fail alike: the tick stops.
    #[error("{0}")]
    Everybody(String),
    /// Of the objects of one patient; the text says what.
    #[error("{0}")]
    Patient(String),
    /// Of one object, which is not there.
    #[error("it is not in the bucket any more (404)")]
    Missing,
    /// Of one object; the text says what.
    #[error("{0}")]
    Object(String),
    /// Of one object, which may go well later.
    #[error("{0}")]
    Passing(String),
}

/// What a call came to that was not answered well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server cannot be reached.
    Unreachable(String),
    /// It may go well if it is tried again.
    Passing(String),
    /// It said no.
    Refused { status: u16, words: String },
    /// What it said cannot be read.
    Garbled(String),
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let cause = deepest_cause(&error);
        match () {
            () if error.is_connect() => Self::Unreachable(format!("it cannot be reached ({cause})")),
            () if error.is_timeout() => Self::Passing("it did not answer in time".to_owned()),
            () => Self::Passing(format!("the connection broke ({cause})")),
        }
    }
}

impl From<S3Error> for Trouble {
    /// Where a call cannot even be signed.
    fn from(error: S3Error) -> Self {
        Self::garbled(&error.to_string())
    }
}

impl Trouble {
    pub(crate) fn garbled(what: &str) -> Self {
        Self::Garbled(what.chars().take(WORDS).collect())
    }

    /// An answer that is no success; `location` is where it sends the caller, who does not go there: the objects are
    /// signed for and asked of one server.
    pub(crate) fn of_answer(status: u16, body: &str, location: Option<&str>, secrets: &[&str]) -> Self {
        let words = words(body, secrets);
        match status {
            408 | 429 | 500..=599 => Self::Passing(format!("it answered {status}{words}")),
            300..=399 => {
                let to = quote(location.unwrap_or("another place"), WORDS, secrets.iter().copied());
                Self::Refused { status, words: format!("{words}, and points to {to}") }
            }
            _ => Self::Refused { status, words },
        }
    }

    /// Whether it may help to try again at once.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Passing(_))
    }

    /// What it means where a listing was asked for, which concerns everybody.
    pub(crate) fn of_listing(self, bucket: &str, address: &str) -> RawError {
        let at = format!("the bucket '{bucket}' at {address}");
        RawError::Everybody(match self {
            Self::Unreachable(what) => format!("S3 at {address}: {what}: see ow.s3.endpoint_url"),
            // One prefix may be slow that has many keys; where all are, each says so.
            Self::Passing(what) => return RawError::Patient(format!("S3 at {address}: {what}")),
            Self::Refused { status: status @ (401 | 403), words } => format!(
                "{at} may not be listed ({status}{words}): see ow.s3.access_key_id and ow.s3.secret_access_key"
            ),
            Self::Refused { status: 404, words } => {
                format!("there is no bucket '{bucket}' at {address} (404{words}): see ow.s3.bucket_name")
            }
            Self::Refused { status, words } => {
                format!("{at} cannot be listed ({status}{words}): see ow.s3.endpoint_url and ow.s3.region")
            }
            Self::Garbled(what) => {
                format!("what answers at {address} is no S3 ({what}): see ow.s3.endpoint_url")
            }
        })
    }

    /// What it means where one object was asked for.
    pub(crate) fn of_object(self, address: &str) -> RawError {
        match self {
            Self::Unreachable(what) => {
                RawError::Everybody(format!("S3 at {address}: {what}: see ow.s3.endpoint_url"))
            }
            Self::Refused { status: 404, .. } => RawError::Missing,
            Self::Refused { status: status @ (401 | 403), words } => {
                RawError::Object(format!("it may not be read ({status}{words}); the key needs s3:GetObject"))
            }
            Self::Refused { status, words } => RawError::Object(format!("S3 answered {status}{words}")),
            Self::Passing(what) => RawError::Passing(format!("S3: {what}")),
            Self::Garbled(what) => RawError::Object(format!("S3's answer cannot be read ({what})")),
        }
    }
}

/// The code and the message of an error of S3's, to stand behind its number.
fn words(body: &str, secrets: &[&str]) -> String {
    let of = |tag: &str| {
        let (_, rest) = body.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(text, _)| text)
    };
    let words: Vec<&str> = [of("Code"), of("Message")].into_iter().flatten().collect();
    if words.is_empty() {
        return String::new();
    }
    format!(" {}", quote(&words.join(": "), WORDS, secrets.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Trouble {
        Trouble::of_answer(status, body, None, &[])
    }

    const DENIED: &str =
        "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>";

    #[test]
    fn each_error_says_which_setting_is_wrong() {
        let listing = |trouble: Trouble| trouble.of_listing("b", "http://s").to_string();
        assert_eq!(
            listing(answered(403, DENIED)),
            "the bucket 'b' at http://s may not be listed (403 SignatureDoesNotMatch: no): see ow.s3.access_key_id \
             and ow.s3.secret_access_key"
        );
        assert!(listing(answered(404, "")).ends_with("(404): see ow.s3.bucket_name"));
        assert!(listing(answered(400, "")).ends_with("see ow.s3.endpoint_url and ow.s3.region"));
        assert_eq!(listing(answered(503, "")), "S3 at http://s: it answered 503");
        let elsewhere = Trouble::of_answer(307, "", Some("http://other/"), &[]);
        assert!(!elsewhere.may_pass());
        assert!(listing(elsewhere).contains("(307, and points to http://other/): see ow.s3.endpoint_url"));
    }

    #[test]
    fn an_object_that_is_refused_concerns_itself_only() {
        assert_eq!(answered(404, "").of_object("http://s"), RawError::Missing);
        assert!(matches!(answered(403, DENIED).of_object("http://s"), RawError::Object(_)));
        let gone = Trouble::Unreachable("it is gone".into());
        assert!(gone.may_pass() && matches!(gone.of_object("http://s"), RawError::Everybody(_)));
        assert!(answered(503, "").may_pass() && !answered(403, DENIED).may_pass());
    }
}
