//! Secrets that are handed out: invitation links, sessions, API tokens. 256 random bits, kept as a hash.

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::common::failure::Failure;

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
        self.derived("form")
    }

    /// Whether `given` is [`Token::form_token`], compared in constant time.
    pub fn is_form_token(&self, given: &str) -> bool {
        self.form_token().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// What another service hands back at the end of a sign-in there (the `state` of RFC 6749): [`CHARACTERS`]
    /// long, and nobody but this token's holder can make it.
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// Whether `given` is [`Token::state`], compared in constant time.
    pub fn is_state(&self, given: &str) -> bool {
        self.state().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// What only this token's holder can show for the code that a sign-in gives (the `code_verifier` of RFC 7636).
    pub fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What tells of [`Token::verifier`] beforehand, without giving it away: `S256` of RFC 7636.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(TokenHash::of(self.verifier().as_bytes()).0)
    }

    /// Another secret of the same holder: neither tells anything of the other.
    fn derived(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(TokenHash::of(format!("{purpose}:{}", self.0).as_bytes()).0)
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

    #[test]
    fn what_is_derived_from_a_token_is_its_own_and_for_one_purpose() {
        let (one, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        assert!(one.is_state(&one.state()));
        assert!(!one.is_state(&other.state()) && !one.is_state("") && !one.is_state(&one.form_token()));
        assert_ne!(one.state(), one.verifier());
        assert_eq!((one.state().len(), one.verifier().len()), (CHARACTERS, CHARACTERS));
    }

    #[test]
    fn a_challenge_is_what_the_rfc_says() {
        let token = Token("a".to_owned());
        assert_eq!(token.verifier(), "MDX_t5HtI5Hi4hWhZJWnZzy7HdqGGotGL-JI3xAclEw");
        assert_eq!(token.challenge(), "klB6EgfLegCU7XdneeXsr69Nh5JiPRJuAxizgLNjkug");
    }
}
