//! Secrets that have to stand in the database are sealed: `XChaCha20-Poly1305` with a key that stands only in the
//! configuration.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::common::failure::Failure;

/// Characters of a key's text: 32 random bytes are 44 in base64, and nobody types so many that are not random.
const SHORTEST: usize = 32;
/// Bytes of the random nonce, which stands before what is sealed.
const NONCE: usize = 24;

/// What seals and opens.
#[derive(Clone)]
pub struct Key(XChaCha20Poly1305);

impl Key {
    /// Makes the key out of its text.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn derive(text: &SecretString) -> Result<Self, String> {
        let text = text.expose_secret();
        if text.len() < SHORTEST {
            return Err(format!("has {} characters; it takes {SHORTEST}, at random", text.len()));
        }
        let mut hash = Sha256::new();
        hash.update("jhe-ow seal 1\n");
        hash.update(text);
        Ok(Self(XChaCha20Poly1305::new(&hash.finalize())))
    }

    /// Seals a text for one place: elsewhere it cannot be opened.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>, Failure> {
        let failed =
            |what: String| Failure::failed(format!("a secret cannot be sealed: {what}"), "try again");
        let mut sealed = vec![0; NONCE];
        getrandom::fill(&mut sealed).map_err(|error| failed(error.to_string()))?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let closed = self.0.encrypt(XNonce::from_slice(&sealed), payload);
        sealed.extend(closed.map_err(|error| failed(error.to_string()))?);
        Ok(sealed)
    }

    /// Opens what was sealed for this place; none where it was sealed with another key, for another place, or
    /// was changed since.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<SecretString> {
        let (nonce, closed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: closed, aad: place.as_bytes() };
        let text = self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        String::from_utf8(text).ok().map(SecretString::from)
    }
}

/// What a sealed value in the settings begins with.
const SEALED: &str = "sealed:";

/// Seals the value of a secret setting, as the settings keep it.
///
/// # Errors
/// Where there is no key.
pub fn seal_setting(key: Option<&Key>, name: &str, value: &str) -> Result<String, Failure> {
    let key = key.ok_or_else(|| {
        Failure::usage(
            format!("{name} is kept encrypted, and no key is configured for that"),
            "make one with `openssl rand -base64 32`, give it as JHE_OW_SECRET_KEY or secret_key in jhe-ow.toml to \
             every jhe-ow of this data directory, and set this again",
        )
    })?;
    Ok(format!("{SEALED}{}", STANDARD.encode(key.seal(&place(name), value)?)))
}

/// Opens the value of a secret setting.
///
/// # Errors
/// Where it was not sealed with this key.
pub fn open_setting(key: Option<&Key>, name: &str, value: &str) -> Result<SecretString, Failure> {
    let next = format!("set it again: jhe-ow settings set {name} VALUE");
    let key = key.ok_or_else(|| {
        Failure::failed(
            format!("{name} is kept encrypted, and no key is configured that opens it"),
            "give the key it was set with as JHE_OW_SECRET_KEY or secret_key in jhe-ow.toml",
        )
    })?;
    let Some(sealed) = value.strip_prefix(SEALED) else {
        return Err(Failure::failed(format!("{name} does not stand in the settings as it should"), next));
    };
    let opened = STANDARD.decode(sealed).ok().and_then(|sealed| key.open(&place(name), &sealed));
    opened.ok_or_else(|| {
        let what = format!("{name} cannot be opened: JHE_OW_SECRET_KEY is not the key it was set with");
        Failure::failed(what, format!("configure that key, or {next}"))
    })
}

fn place(name: &str) -> String {
    format!("setting {name}")
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: char) -> Key {
        Key::derive(&fill.to_string().repeat(SHORTEST).into()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_only() {
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
        let kept = seal_setting(Some(&mine), name, "hush").unwrap();
        assert!(kept.starts_with("sealed:") && !kept.contains("hush"));
        assert_eq!(open_setting(Some(&mine), name, &kept).unwrap().expose_secret(), "hush");
        for (key, value) in [(Some(&other), kept.as_str()), (None, &kept), (Some(&mine), "hush")] {
            let failure = open_setting(key, name, value).unwrap_err();
            assert!(failure.what.contains(name), "{failure}");
        }
        assert!(seal_setting(None, name, "hush").unwrap_err().next.contains("JHE_OW_SECRET_KEY"));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        assert!(Key::derive(&"short".to_owned().into()).is_err());
    }
}
