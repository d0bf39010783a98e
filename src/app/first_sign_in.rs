use std::time::Duration;

use crate::app::sign_in_link;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::secrets::token::Token;
use crate::store::people::account;
use crate::store::people::account::LinkOrigin;

/// The address that signs the first operator in, while no operator has a password.
pub(crate) async fn first_sign_in(app: &App) -> Result<Option<String>, Failure> {
    let token = Token::draw()?;
    let (hash, now) = (token.hash(), app.clock.now());
    let keep = move |db: &rusqlite::Connection| {
        let Some(account) = account::first_operator(db, now)? else { return Ok(false) };
        account::keep_link(db, account.id, hash, LinkOrigin::Start, now.plus(FIRST_SIGN_IN))?;
        Ok(true)
    };
    let waiting = app.store.write(keep).await?;
    Ok(waiting.then(|| sign_in_link::sign_in_link(&app.live.config().public_base(), &token)))
}

/// How long the address that a start prints works: until the next start, or a day.
pub(crate) const FIRST_SIGN_IN: Duration = Duration::from_hours(24);
