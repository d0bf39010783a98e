//! Secrets that are handed out: invitation links, sessions, API tokens. 256 random bits, kept as a hash.

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::failure::Failure;

/// Bytes of randomness in a token.
const BYTES: usize = 32;
/// Characters of its text: [`BYTES`] in base64url without padding.
pub const CHARACTERS: usize = 43;

/// A secret that whoever holds it may use. It is not shown by `Debug`.
#[derive(Clone)]
pub struct Token(String);

/// What is kept of a [`Token`]: SHA-256, which 256 random bits need no salt for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub(crate) [u8; 32]);

impl Token {
    /// Draws a new token.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn draw() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::failed(format!("the system gives no randomness: {error}"), "try again")
        })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a token; none where the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (text.len() == CHARACTERS && bytes.len() == BYTES).then(|| Self(text.to_owned()))
    }

    /// The text to hand out.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be kept.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }

    /// What a form that this token's holder sends must carry (CSRF): nobody else can make it.
    pub fn form_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(TokenHash::of(format!("form:{}", self.0).as_bytes()).0)
    }

    /// Whether `given` is [`Token::form_token`], compared in constant time.
    pub fn is_form_token(&self, given: &str) -> bool {
        self.form_token().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl TokenHash {
    /// The hash of any secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Lower-case hexadecimal.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_anything_else_is_not() {
        let token = Token::draw().unwrap();
        assert_eq!(Token::parse(token.expose()).unwrap().hash(), token.hash());
        assert_ne!(Token::draw().unwrap().hash(), token.hash());
        for wrong in ["", "short", &token.expose()[1..], &format!("{}=", token.expose()), &"ä".repeat(43)] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_form_token_belongs_to_one_token() {
        let (one, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        assert!(one.is_form_token(&one.form_token()));
        assert!(!one.is_form_token(&other.form_token()) && !one.is_form_token(""));
        assert!(!format!("{one:?}").contains(one.expose()));
    }
}
