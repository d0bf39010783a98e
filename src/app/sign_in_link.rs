//! One-time links that sign an account in.

use std::time::Duration;

use crate::app::state::App;
use crate::common::failure::Failure;
use crate::secrets::token::Token;
use crate::store::people::account::{self, LinkOrigin};

pub(crate) const LINK_LIFETIME: Duration = Duration::from_hours(3 * 24);
/// A link that the daemon prints at its start works for a day, or until the next start.
const FIRST_LINK_LIFETIME: Duration = Duration::from_hours(24);

pub(crate) fn sign_in_url(base: &str, token: &Token) -> String {
    format!("{base}/admin/sign-in?token={}", token.expose())
}

/// Creates a sign-in link for the first operator. Returns none if an operator has a password.
pub(crate) async fn first_operator_url(app: &App) -> Result<Option<String>, Failure> {
    let token = Token::generate()?;
    let (hash, now) = (token.hash(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let Some(account) = account::ensure_first_operator(db, now)? else { return Ok(false) };
        account::insert_sign_in_link(db, account.id, hash, LinkOrigin::Start, now.plus(FIRST_LINK_LIFETIME))?;
        Ok(true)
    };
    let is_needed = app.store.write(write).await?;
    Ok(is_needed.then(|| sign_in_url(&app.live.config().public_base(), &token)))
}
