//! Signatures of webhooks, as Svix and the Standard Webhooks make them: HMAC-SHA256 over id, time and body. Pure.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::common::time::Timestamp;

/// What a secret's text may begin with.
const PREFIX: &str = "whsec_";
/// What each signature of this kind begins with.
const VERSION: &str = "v1,";
/// How far a message's time may be from ours, as Svix has it.
const TOLERANCE: Duration = Duration::from_mins(5);
/// Bytes of a secret: Svix makes 24, and fewer than that are guessed sooner than one would like.
const SHORTEST: usize = 16;

/// Why a message is not taken for a signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// None of its signatures is that of this message under this secret.
    Foreign,
    /// One is, and the message is of another time than now.
    OfAnotherTime,
}

/// What signs and verifies.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads a secret: base64, with or without `whsec_`.
    ///
    /// # Errors
    /// What is wrong with it; never the text itself.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret();
        let code = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(code).map_err(|_| "is no base64".to_owned())?;
        if bytes.len() < SHORTEST {
            return Err(format!("has {} bytes; it takes {SHORTEST} or more, at random", bytes.len()));
        }
        // HMAC takes keys of every length.
        Hmac::new_from_slice(&bytes).map(Self).map_err(|error| error.to_string())
    }

    /// The signature of a message.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let code = self.mac(id, &seconds(at).to_string(), body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(code))
    }

    /// Looks whether one of `signatures`, with spaces in between, is that of this message, and the message is of now.
    /// `at` is in seconds since 1970, as its header has it.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(
        &self,
        id: &str,
        at: &str,
        body: &[u8],
        signatures: &str,
        now: Timestamp,
    ) -> Result<(), Unsigned> {
        let is_ours = !id.is_empty()
            && signatures.split(' ').filter_map(|one| one.strip_prefix(VERSION)).any(|code| {
                // The comparison takes as long wherever they differ.
                STANDARD.decode(code).is_ok_and(|code| self.mac(id, at, body).verify_slice(&code).is_ok())
            });
        let is_of_now = at.parse::<i64>().is_ok_and(|at| seconds(now).abs_diff(at) <= TOLERANCE.as_secs());
        match (is_ours, is_of_now) {
            (true, true) => Ok(()),
            (true, false) => Err(Unsigned::OfAnotherTime),
            (false, _) => Err(Unsigned::Foreign),
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

/// Whole seconds since 1970, as the header of a message's time has them.
pub fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Svix's documentation.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> Secret {
        Secret::parse(&SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_614_265_330_000_000)
    }

    #[test]
    fn it_signs_as_svix_does() {
        assert_eq!(secret().sign(ID, now(), BODY), SIGNATURE);
        assert_eq!(secret().check(ID, AT, BODY, SIGNATURE, now()), Ok(()));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let several = format!("v1a,abc v1,AAAA {SIGNATURE}");
        assert_eq!(secret().check(ID, AT, BODY, &several, now()), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |id: &str, at: &str, body: &[u8], signatures: &str, now| {
            secret().check(id, at, body, signatures, now) == Err(Unsigned::Foreign)
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
        let check = |now| secret().check(ID, AT, BODY, SIGNATURE, now);
        assert_eq!((check(now().plus(TOLERANCE)), check(now().minus(TOLERANCE))), (Ok(()), Ok(())));
        for far in [now().plus(TOLERANCE * 2), now().minus(TOLERANCE * 2)] {
            assert_eq!(check(far), Err(Unsigned::OfAnotherTime), "{far}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        for at in [i64::MIN.to_string(), i64::MAX.to_string(), "now".to_owned()] {
            assert!(secret().check(ID, &at, BODY, SIGNATURE, now()).is_err(), "{at}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_not_in_what_is_said_of_it() {
        for text in ["whsec_short", "whsec_AAAA", "not base64 at all"] {
            let why = Secret::parse(&SecretString::from(text)).unwrap_err();
            assert!(!why.contains(text), "{why}");
        }
    }
}
