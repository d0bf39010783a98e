//! Encryption of secrets in the database: `XChaCha20-Poly1305` with a key from the configuration.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::common::failure::Failure;

/// The shortest key text in characters. 32 random bytes have 44 in base64; nobody types 32 that are not
/// random.
const MIN_KEY_LENGTH: usize = 32;
/// Bytes of the random nonce at the start of a sealed value.
const NONCE: usize = 24;

/// The remedy if no key is configured.
pub(crate) const MAKE_A_KEY: &str = "make one with `openssl rand -base64 32`, and give it as JHE_OW_SECRET_KEY or \
                                     secret_key in jhe-ow.toml to every jhe-ow of this data directory";

/// A key that encrypts and decrypts secrets, and the former one, which only decrypts.
#[derive(Clone)]
pub struct SealingKey {
    current: XChaCha20Poly1305,
    previous: Option<XChaCha20Poly1305>,
}

/// An opened value, by the key that opened it.
pub(crate) enum Opened {
    Current(SecretString),
    Previous(SecretString),
    Unreadable,
}

impl SealingKey {
    /// Derives the key from its text in the configuration.
    pub fn derive(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret();
        if text.len() < MIN_KEY_LENGTH {
            return Err(format!("has {} characters; it takes {MIN_KEY_LENGTH}, at random", text.len()));
        }
        let mut hash = Sha256::new();
        hash.update("jhe-ow seal 1\n");
        hash.update(text);
        Ok(Self { current: XChaCha20Poly1305::new(&hash.finalize()), previous: None })
    }

    /// Returns this key, which opens also what `previous` has sealed.
    #[must_use]
    pub fn with_previous(self, previous: Self) -> Self {
        Self { previous: Some(previous.current), ..self }
    }

    pub(crate) fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    /// Encrypts a text. `context` is authenticated with it, so that the value cannot be moved to another row.
    pub fn seal(&self, context: &str, text: &str) -> Result<Vec<u8>, Failure> {
        let failed = |why: String| Failure::failed(format!("a secret cannot be sealed: {why}"), "try again");
        let mut sealed = vec![0; NONCE];
        getrandom::fill(&mut sealed).map_err(|error| failed(error.to_string()))?;
        let payload = Payload { msg: text.as_bytes(), aad: context.as_bytes() };
        let ciphertext = self.current.encrypt(XNonce::from_slice(&sealed), payload);
        sealed.extend(ciphertext.map_err(|error| failed(error.to_string()))?);
        Ok(sealed)
    }

    /// Decrypts a sealed text; none if the key, the context or the bytes differ from those of [`Self::seal`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<SecretString> {
        match self.open_with_either(context, sealed) {
            Opened::Current(text) | Opened::Previous(text) => Some(text),
            Opened::Unreadable => None,
        }
    }

    /// Decrypts a sealed text with the current key, or else with the previous one.
    pub(crate) fn open_with_either(&self, context: &str, sealed: &[u8]) -> Opened {
        let previous = || decrypt(self.previous.as_ref()?, context, sealed).map(Opened::Previous);
        let current = decrypt(&self.current, context, sealed).map(Opened::Current);
        current.or_else(previous).unwrap_or(Opened::Unreadable)
    }
}

fn decrypt(key: &XChaCha20Poly1305, context: &str, sealed: &[u8]) -> Option<SecretString> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
    let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
    let text = key.decrypt(XNonce::from_slice(nonce), payload).ok()?;
    String::from_utf8(text).ok().map(SecretString::from)
}

/// Binds a patient's token at JHE to the patient.
pub(crate) fn jhe_token_context(patient: impl fmt::Display) -> String {
    format!("jhe-token of patient {patient}")
}

/// Binds the secret of a second factor to its account.
pub(crate) fn second_factor_context(account: impl fmt::Display) -> String {
    format!("second factor of account {account}")
}

/// Binds a secret setting to its name.
pub(crate) fn setting_context(name: impl fmt::Display) -> String {
    format!("setting {name}")
}

/// Start of a sealed value in the settings table.
const SEALED_PREFIX: &str = "sealed:";

/// Encrypts the value of a secret setting for the settings table.
pub(crate) fn seal_setting(key: Option<&SealingKey>, name: &str, value: &str) -> Result<String, Failure> {
    let key = key.ok_or_else(|| {
        Failure::usage(
            format!("{name} is stored encrypted, and no key is configured for that"),
            format!("{MAKE_A_KEY}; then set this again"),
        )
    })?;
    Ok(sealed_text(&key.seal(&setting_context(name), value)?))
}

/// Returns the form of a sealed value in a column of texts.
pub(crate) fn sealed_text(sealed: &[u8]) -> String {
    format!("{SEALED_PREFIX}{}", STANDARD.encode(sealed))
}

/// Returns the sealed value of a text; none if the text has another form.
pub(crate) fn parse_sealed_text(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(SEALED_PREFIX)?).ok()
}

/// Decrypts the value of a secret setting.
pub(crate) fn unseal_setting(
    key: Option<&SealingKey>,
    name: &str,
    value: &str,
) -> Result<SecretString, Failure> {
    let remedy = format!("set it again: jhe-ow settings set {name} VALUE");
    let key = key.ok_or_else(|| {
        Failure::failed(
            format!("{name} is stored encrypted, and no key is configured that opens it"),
            "give the key it was set with as JHE_OW_SECRET_KEY or secret_key in jhe-ow.toml",
        )
    })?;
    let Some(sealed) = parse_sealed_text(value) else {
        return Err(Failure::failed(format!("{name} does not stand in the settings as it should"), remedy));
    };
    key.open(&setting_context(name), &sealed).ok_or_else(|| {
        let message = format!("{name} cannot be opened: JHE_OW_SECRET_KEY is not the key it was set with");
        Failure::failed(message, format!("configure that key as JHE_OW_SECRET_KEY_PREVIOUS, or {remedy}"))
    })
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: char) -> SealingKey {
        SealingKey::derive(&fill.to_string().repeat(MIN_KEY_LENGTH).into()).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_only_with_its_key_and_context() {
        let sealed = key('a').seal("patient 7", "secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(key('a').open("patient 7", &sealed).unwrap().expose_secret(), "secret");
        assert!(key('b').open("patient 7", &sealed).is_none());
        assert!(key('a').open("patient 8", &sealed).is_none());
        assert!(key('a').open("patient 7", &sealed[..10]).is_none());
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert!(key('a').open("patient 7", &changed).is_none());
    }

    #[test]
    fn the_previous_key_opens_and_never_seals() {
        let both = key('b').with_previous(key('a'));
        assert_eq!(both.open("x", &key('a').seal("x", "old").unwrap()).unwrap().expose_secret(), "old");
        let sealed = both.seal("x", "new").unwrap();
        assert!(key('a').open("x", &sealed).is_none() && key('b').open("x", &sealed).is_some());
        assert!(matches!(both.open_with_either("x", &sealed), Opened::Current(_)));
    }

    #[test]
    fn a_secret_setting_is_opened_with_the_key_it_was_set_with() {
        let (name, mine, other) = ("ow.s3.secret_access_key", key('a'), key('b'));
        let stored = seal_setting(Some(&mine), name, "hush").unwrap();
        assert!(stored.starts_with("sealed:") && !stored.contains("hush"));
        assert_eq!(unseal_setting(Some(&mine), name, &stored).unwrap().expose_secret(), "hush");
        for (key, value) in [(Some(&other), stored.as_str()), (None, &stored), (Some(&mine), "hush")] {
            let failure = unseal_setting(key, name, value).unwrap_err();
            assert!(failure.message.contains(name), "{failure}");
        }
        assert!(seal_setting(None, name, "hush").unwrap_err().remedy.contains("JHE_OW_SECRET_KEY"));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        assert!(SealingKey::derive(&"short".to_owned().into()).is_err());
    }
}
