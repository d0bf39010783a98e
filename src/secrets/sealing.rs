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

/// A key that encrypts and decrypts secrets.
#[derive(Clone)]
pub struct SealingKey(XChaCha20Poly1305);

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
        Ok(Self(XChaCha20Poly1305::new(&hash.finalize())))
    }

    /// Encrypts a text. `context` is authenticated with it, so that the value cannot be moved to another row.
    pub fn seal(&self, context: &str, text: &str) -> Result<Vec<u8>, Failure> {
        let failed = |why: String| Failure::failed(format!("a secret cannot be sealed: {why}"), "try again");
        let mut sealed = vec![0; NONCE];
        getrandom::fill(&mut sealed).map_err(|error| failed(error.to_string()))?;
        let payload = Payload { msg: text.as_bytes(), aad: context.as_bytes() };
        let ciphertext = self.0.encrypt(XNonce::from_slice(&sealed), payload);
        sealed.extend(ciphertext.map_err(|error| failed(error.to_string()))?);
        Ok(sealed)
    }

    /// Decrypts a sealed text; none if the key, the context or the bytes differ from those of [`Self::seal`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<SecretString> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
        let text = self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        String::from_utf8(text).ok().map(SecretString::from)
    }
}

/// Start of a sealed value in the settings table.
const SEALED_PREFIX: &str = "sealed:";

/// Encrypts the value of a secret setting for the settings table.
pub(crate) fn seal_setting(key: Option<&SealingKey>, name: &str, value: &str) -> Result<String, Failure> {
    let key = key.ok_or_else(|| {
        Failure::usage(
            format!("{name} is stored encrypted, and no key is configured for that"),
            "make one with `openssl rand -base64 32`, give it as JHE_OW_SECRET_KEY or secret_key in \
             jhe-ow.toml to every jhe-ow of this data directory, and set this again",
        )
    })?;
    Ok(format!("{SEALED_PREFIX}{}", STANDARD.encode(key.seal(&setting_context(name), value)?)))
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
    let Some(sealed) = value.strip_prefix(SEALED_PREFIX) else {
        return Err(Failure::failed(format!("{name} does not stand in the settings as it should"), remedy));
    };
    let opened = STANDARD.decode(sealed).ok().and_then(|sealed| key.open(&setting_context(name), &sealed));
    opened.ok_or_else(|| {
        let message = format!("{name} cannot be opened: JHE_OW_SECRET_KEY is not the key it was set with");
        Failure::failed(message, format!("configure that key, or {remedy}"))
    })
}

fn setting_context(name: &str) -> String {
    format!("setting {name}")
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
