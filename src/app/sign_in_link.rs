use std::time::Duration;

use crate::secrets::token::Token;

/// How long a one-time sign-in link of an account works.
pub(crate) const LINK_AGE: Duration = Duration::from_hours(3 * 24);

/// The address that signs an account in once.
pub(crate) fn sign_in_link(base: &str, token: &Token) -> String {
    format!("{base}/admin/sign-in?token={}", token.expose())
}
