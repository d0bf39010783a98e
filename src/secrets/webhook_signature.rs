//! Webhook signatures by the Standard Webhooks specification, which Svix uses: HMAC-SHA256 of id, time and
//! body.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::common::time::Timestamp;

/// Optional start of a secret's text.
const PREFIX: &str = "whsec_";
/// Start of each signature of this kind.
const VERSION: &str = "v1,";
/// The largest difference between a message's time and ours, as in Svix.
const TOLERANCE: Duration = Duration::from_mins(5);
/// The shortest secret in bytes. Svix generates 24.
const MIN_BYTES: usize = 16;

/// The reason why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// No signature matches this message and this secret.
    Mismatch,
    /// The signature matches, but the message's time is too far from now.
    StaleTime,
}

/// A secret that signs and verifies messages.
#[derive(Clone)]
pub struct WebhookSecret(Hmac<Sha256>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// Parses a secret: base64, with or without `whsec_`. An error never contains the text.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret();
        let code = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(code).map_err(|_| "is no base64".to_owned())?;
        if bytes.len() < MIN_BYTES {
            return Err(format!("has {} bytes; it takes {MIN_BYTES} or more, at random", bytes.len()));
        }
        // HMAC accepts keys of every length.
        Hmac::new_from_slice(&bytes).map(Self).map_err(|error| error.to_string())
    }

    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let code = self.mac(id, &seconds(at).to_string(), body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(code))
    }

    /// Checks that one of the space-separated `signatures` matches and that `at`, in seconds since 1970, is
    /// near now.
    pub fn verify(
        &self,
        id: &str,
        at: &str,
        body: &[u8],
        signatures: &str,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let matches = !id.is_empty()
            && signatures.split(' ').filter_map(|one| one.strip_prefix(VERSION)).any(|code| {
                // `verify_slice` compares in constant time.
                STANDARD.decode(code).is_ok_and(|code| self.mac(id, at, body).verify_slice(&code).is_ok())
            });
        let is_recent = at.parse::<i64>().is_ok_and(|at| seconds(now).abs_diff(at) <= TOLERANCE.as_secs());
        match (matches, is_recent) {
            (true, true) => Ok(()),
            (true, false) => Err(SignatureError::StaleTime),
            (false, _) => Err(SignatureError::Mismatch),
        }
    }

    fn mac(&self, id: &str, at: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// Returns whole seconds since 1970, the form of the timestamp header.
pub fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in Svix's documentation.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> WebhookSecret {
        WebhookSecret::parse(&SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_614_265_330_000_000)
    }

    #[test]
    fn it_signs_as_svix_does() {
        assert_eq!(secret().sign(ID, now(), BODY), SIGNATURE);
        assert_eq!(secret().verify(ID, AT, BODY, SIGNATURE, now()), Ok(()));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let several = format!("v1a,abc v1,AAAA {SIGNATURE}");
        assert_eq!(secret().verify(ID, AT, BODY, &several, now()), Ok(()));
    }

    #[test]
    fn a_changed_message_or_signature_is_refused() {
        let refused = |id: &str, at: &str, body: &[u8], signatures: &str, now| {
            secret().verify(id, at, body, signatures, now) == Err(SignatureError::Mismatch)
        };
        assert!(refused("msg_other", AT, BODY, SIGNATURE, now()));
        assert!(refused(ID, "1614265331", BODY, SIGNATURE, now()));
        assert!(refused(ID, AT, b"{}", SIGNATURE, now()));
        assert!(refused(ID, AT, BODY, "", now()));
        assert!(refused(ID, AT, BODY, "v1,", now()));
        assert!(refused(ID, AT, BODY, &SIGNATURE.replace("v1,", "v2,"), now()));
        assert!(refused("", AT, BODY, &secret().sign("", now(), BODY), now()));
    }

    #[test]
    fn a_message_of_another_time_is_refused() {
        let verify = |now| secret().verify(ID, AT, BODY, SIGNATURE, now);
        assert_eq!((verify(now().plus(TOLERANCE)), verify(now().minus(TOLERANCE))), (Ok(()), Ok(())));
        for far in [now().plus(TOLERANCE * 2), now().minus(TOLERANCE * 2)] {
            assert_eq!(verify(far), Err(SignatureError::StaleTime), "{far}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        for at in [i64::MIN.to_string(), i64::MAX.to_string(), "now".to_owned()] {
            assert!(secret().verify(ID, &at, BODY, SIGNATURE, now()).is_err(), "{at}");
        }
    }

    #[test]
    fn the_error_about_an_invalid_secret_does_not_contain_it() {
        for text in ["whsec_short", "whsec_AAAA", "not base64 at all"] {
            let why = WebhookSecret::parse(&SecretString::from(text)).unwrap_err();
            assert!(!why.contains(text), "{why}");
        }
    }
}
