//! One-time codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use totp_lite::{Sha1, totp_custom};

use crate::common::{failure::Failure, time::Timestamp};
use crate::secrets::token::TokenHash;

/// Seconds of a time step, and digits of a code: the values that every app knows.
const STEP: u64 = 30;
const DIGITS: u32 = 6;
/// Steps before and after the present one whose codes are taken: clocks differ, and people type slowly.
const TOLERANCE: u64 = 1;
/// Steps within which a code that is not taken tells how far two clocks are apart: two hours.
const SEARCHED: u64 = 240;
/// Bytes of a secret, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
pub(crate) const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code: 120 bits, so that a plain hash of it is safe.
const RECOVERY_BYTES: usize = 15;

/// The secret that an authenticator app shares with the daemon.
#[derive(Clone)]
pub(crate) struct TotpSecret([u8; SECRET_BYTES]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeCheck {
    /// Valid, at this time step.
    Valid(u64),
    /// Valid, and used before.
    Used,
    Wrong,
}

impl TotpSecret {
    pub(crate) fn generate() -> Result<Self, Failure> {
        random().map(Self)
    }

    /// Parses the text of [`Self::expose`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Returns the secret as text for a form or for encryption.
    pub(crate) fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns the secret as people type it into an app: base32 in groups of four.
    pub(crate) fn base32(&self) -> String {
        grouped(&base32(&self.0), 4, ' ')
    }

    /// Returns the address that apps read from the QR code. `issuer` and `account` are shown in the app.
    /// The algorithm, digits and period are those that apps use unless told otherwise.
    pub(crate) fn otpauth_url(&self, issuer: &str, account: &str) -> String {
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let (issuer, account, secret) = (encode(issuer), encode(account), base32(&self.0));
        format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}")
    }

    /// Checks a code; `last_step` is the step of the last code that was taken.
    pub(crate) fn check(&self, code: &str, now: Timestamp, last_step: u64) -> CodeCheck {
        let present = step_at(now);
        let steps = present.saturating_sub(TOLERANCE)..=present + TOLERANCE;
        // Each step is compared, so that the time does not tell which one matches.
        let matches: Vec<u64> = steps.filter(|step| self.is_code(code, *step)).collect();
        match matches.iter().find(|step| **step > last_step) {
            Some(step) => CodeCheck::Valid(*step),
            None if matches.is_empty() => CodeCheck::Wrong,
            None => CodeCheck::Used,
        }
    }

    /// Returns the minutes by which the clock of the app differs, if the code is one of another time. Only for a
    /// person who sees the secret: it tells of codes that become valid later.
    pub(crate) fn minutes_off(&self, code: &str, now: Timestamp) -> Option<u64> {
        let present = step_at(now);
        let steps = present.saturating_sub(SEARCHED)..=present + SEARCHED;
        let found = steps.into_iter().find(|step| self.is_code(code, *step))?;
        Some((found.abs_diff(present) * STEP).div_ceil(60))
    }

    fn is_code(&self, code: &str, step: u64) -> bool {
        let expected = totp_custom::<Sha1>(STEP, DIGITS, &self.0, step * STEP);
        expected.as_bytes().ct_eq(code.as_bytes()).into()
    }
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.micros() / 1_000_000).unwrap_or_default() / STEP
}

/// Returns the digits of a text that is a one-time code; apps and people group them.
pub(crate) fn parse_code(text: &str) -> Option<String> {
    let code: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let is_code = code.len() == DIGITS as usize && code.bytes().all(|byte| byte.is_ascii_digit());
    is_code.then_some(code)
}

/// Returns new recovery codes, as they are shown once, and their hashes.
pub(crate) fn generate_recovery_codes() -> Result<(Vec<String>, Vec<TokenHash>), Failure> {
    let code = |_| {
        let code = grouped(&base32(&random::<RECOVERY_BYTES>()?).to_ascii_lowercase(), 6, '-');
        let hash = hash_recovery_code(&code);
        Ok((code, hash))
    };
    (0..RECOVERY_CODES).map(code).collect()
}

/// Hashes a recovery code for storage, however it is grouped.
pub(crate) fn hash_recovery_code(text: &str) -> TokenHash {
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    TokenHash::of(format!("recovery code:{}", plain.to_ascii_lowercase()).as_bytes())
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system gives no randomness: {error}"), "try again"))?;
    Ok(bytes)
}

/// Encodes bytes in base32 (RFC 4648). Their number is a multiple of five, so there is no padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let number = |chunk: &[u8]| chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let letters =
        |number: u64| (0..8).rev().map(move |place| ALPHABET[(number >> (place * 5) & 31) as usize]);
    bytes.chunks_exact(5).flat_map(|chunk| letters(number(chunk))).map(char::from).collect()
}

fn grouped(text: &str, size: usize, between: char) -> String {
    let mut grouped = String::new();
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place.is_multiple_of(size) {
            grouped.push(between);
        }
        grouped.push(character);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238_and_work_once_within_one_step() {
        let secret = TotpSecret(*b"12345678901234567890");
        assert_eq!(secret.check("287082", at(59), 0), CodeCheck::Valid(1));
        assert_eq!(secret.check("081804", at(1_111_111_109), 0), CodeCheck::Valid(37_037_036));
        assert_eq!(secret.check("287082", at(59), 1), CodeCheck::Used);
        for (now, expected) in [(0, 1), (60, 1), (89, 1)] {
            assert_eq!(secret.check("287082", at(now), 0), CodeCheck::Valid(expected), "{now}");
        }
        assert_eq!(secret.check("287082", at(90), 0), CodeCheck::Wrong);
        assert_eq!(secret.minutes_off("287082", at(59 + 300)), Some(5));
        assert_eq!(secret.base32(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!((parse_code(" 287 082 ").as_deref(), parse_code("28708x")), (Some("287082"), None));
    }

    #[test]
    fn recovery_codes_are_distinct_and_read_however_they_are_grouped() {
        let (codes, _) = generate_recovery_codes().unwrap();
        assert_eq!((codes.len(), codes[0].len()), (RECOVERY_CODES, 27));
        assert_ne!(codes[0], codes[1]);
        assert_eq!(
            hash_recovery_code(&codes[0]),
            hash_recovery_code(&codes[0].to_uppercase().replace('-', " "))
        );
    }
}
