//! Bearer tokens for invitation links, sessions and the API: 256 random bits, stored as a hash.

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::common::failure::Failure;
use crate::model::audit_detail::AuditPart;

const BYTES: usize = 32;
/// Characters of a token: [`BYTES`] in base64url without padding.
pub const TOKEN_LENGTH: usize = 43;

/// A secret that grants access to its holder. `Debug` does not show it.
#[derive(Clone)]
pub struct Token(String);

/// The SHA-256 of a [`Token`], for storage. 256 random bits need no salt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub(crate) [u8; 32]);

impl Token {
    pub fn generate() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::failed(format!("the system gives no randomness: {error}"), "try again")
        })?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (text.len() == TOKEN_LENGTH && bytes.len() == BYTES).then(|| Self(text.to_owned()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }

    /// Returns the hidden value of this session's forms, which protects against CSRF.
    pub fn csrf_token(&self) -> String {
        self.derive("form")
    }

    /// Compares in constant time.
    pub fn is_csrf_token(&self, given: &str) -> bool {
        self.csrf_token().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Returns the token of one patient's invitation, for a list of invitations that are made with this token.
    pub fn for_patient(&self, patient: impl fmt::Display) -> Self {
        Self(self.derive(&format!("invitation of patient {patient}")))
    }

    /// Returns the `state` of an OAuth sign-in (RFC 6749), [`TOKEN_LENGTH`] characters long.
    pub fn oauth_state(&self) -> String {
        self.derive("state")
    }

    /// Compares in constant time.
    pub fn is_oauth_state(&self, given: &str) -> bool {
        self.oauth_state().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Returns the `code_verifier` of PKCE (RFC 7636).
    pub fn pkce_verifier(&self) -> String {
        self.derive("verifier")
    }

    /// Returns the `code_challenge` of PKCE, method `S256`.
    pub fn pkce_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(TokenHash::of(self.pkce_verifier().as_bytes()).0)
    }

    /// Returns the token of the invitation that a form of this session makes.
    pub fn invitation_token(&self, form_id: &Self) -> Self {
        Self(self.derive(&format!("invitation {}", form_id.0)))
    }

    /// Derives a secret for one purpose. It reveals neither this token nor the secret of another purpose.
    fn derive(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(TokenHash::of(format!("{purpose}:{}", self.0).as_bytes()).0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl TokenHash {
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Returns lower-case hexadecimal.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl AuditPart for TokenHash {
    fn into_text(self) -> String {
        self.hex()
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
    fn only_the_text_of_a_token_parses() {
        let token = Token::generate().unwrap();
        assert_eq!(Token::parse(token.expose()).unwrap().hash(), token.hash());
        assert_ne!(Token::generate().unwrap().hash(), token.hash());
        for wrong in ["", "short", &token.expose()[1..], &format!("{}=", token.expose()), &"ä".repeat(43)] {
            assert!(Token::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_csrf_token_belongs_to_one_token() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert!(one.is_csrf_token(&one.csrf_token()));
        assert!(!one.is_csrf_token(&other.csrf_token()) && !one.is_csrf_token(""));
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    #[test]
    fn a_derived_secret_belongs_to_one_token_and_one_purpose() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert!(one.is_oauth_state(&one.oauth_state()));
        assert!(
            !one.is_oauth_state(&other.oauth_state())
                && !one.is_oauth_state("")
                && !one.is_oauth_state(&one.csrf_token())
        );
        assert_ne!(one.oauth_state(), one.pkce_verifier());
        assert_eq!((one.oauth_state().len(), one.pkce_verifier().len()), (TOKEN_LENGTH, TOKEN_LENGTH));
    }

    #[test]
    fn a_pkce_challenge_is_as_rfc_7636_defines() {
        let token = Token("a".to_owned());
        assert_eq!(token.pkce_verifier(), "MDX_t5HtI5Hi4hWhZJWnZzy7HdqGGotGL-JI3xAclEw");
        assert_eq!(token.pkce_challenge(), "klB6EgfLegCU7XdneeXsr69Nh5JiPRJuAxizgLNjkug");
    }
}
