//! One-time links that sign an account in.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::state::App;
use crate::common::failure::Failure;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, LinkOrigin};

pub(crate) const LINK_LIFETIME: Duration = Duration::from_hours(3 * 24);
/// The file with the link of the first operator, in the data directory.
const FIRST_LINK_FILE: &str = "first-sign-in-link";
/// A link that the daemon makes at its start works for a day, or until the next start.
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

/// Writes the first operator's link into a file that only its owner can read, in place of an earlier one. Without a
/// link, removes the file.
pub(crate) fn write_first_link(directory: &Path, link: Option<&str>) -> Result<PathBuf, Failure> {
    let path = directory.join(FIRST_LINK_FILE);
    let write = || {
        remove(&path)?;
        let Some(link) = link else { return Ok(()) };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{link}")
    };
    let failure = |error| {
        let message = format!("the sign-in link cannot be written to {}: {error}", path.display());
        Failure::failed(message, "make the data directory writable for this user")
    };
    write().map_err(failure).map(|()| path.clone())
}

/// Removes the file with the first operator's link if this is the link in it.
pub(crate) fn remove_used_link(directory: &Path, used: TokenHash) {
    let path = directory.join(FIRST_LINK_FILE);
    let Ok(link) = fs::read_to_string(&path) else { return };
    let token = link.trim().split_once("token=").and_then(|(_, token)| Token::parse(token));
    if token.is_some_and(|token| token.hash() == used)
        && let Err(error) = remove(&path)
    {
        tracing::warn!("the used sign-in link in {} cannot be removed: {error}", path.display());
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
