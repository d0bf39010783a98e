//! `jhe-ow secrets`: seals the stored secrets again with a new key.

use clap::Subcommand;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::print_line;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::secrets::sealing::MAKE_A_KEY;
use crate::store::operations::sealed::{self, SEALED_COLUMNS, SealedValues};
use crate::store::privacy::audit;

#[derive(Debug, Subcommand)]
#[allow(clippy::doc_markdown, reason = "the help shows these names without backticks")]
pub(crate) enum Command {
    /// Encrypt every stored secret with the new key that the former one opens
    ///
    /// Configure the new key as JHE_OW_SECRET_KEY and the former one as JHE_OW_SECRET_KEY_PREVIOUS, restart the daemon,
    /// and run this. Run it again if it was stopped: it goes on where it was. Then take the former key out of the
    /// configuration.
    Rotate,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Rotate => rotate(session).await,
    }
}

async fn rotate(session: &Session) -> Result<u8, Failure> {
    let Some(key) = session.config.secret_key.clone() else {
        return Err(Failure::usage("no JHE_OW_SECRET_KEY is configured", MAKE_A_KEY));
    };
    let (store, now) = (session.store()?, session.clock.now());
    let mut done = SealedValues::default();
    for column in SEALED_COLUMNS {
        let key = key.clone();
        // A transaction for each column: after a kill, what is done counts as sealed already.
        let work = move |db: &rusqlite::Connection| {
            let counts = sealed::rotate(db, column, &key)?;
            if counts.previous > 0 {
                let detail = AuditDetail::from(column.table).with(counts.previous);
                audit::record(db, now, Actor::CommandLine, "secrets.rotate", None, detail)?;
            }
            Ok(counts)
        };
        done.add(column, store.write(work).await?);
    }
    let or_none = |list: String| if list.is_empty() { "nothing".to_owned() } else { list };
    print_line(format_args!("sealed again: {}", or_none(done.list(|counts| counts.previous))))?;
    print_line(format_args!(
        "sealed with this key already: {}",
        or_none(done.list(|counts| counts.current))
    ))?;
    if let Some(failure) = done.failure(Some(&key)) {
        return Err(failure);
    }
    if key.has_previous() {
        print_line(
            "take JHE_OW_SECRET_KEY_PREVIOUS out of the configuration of every jhe-ow of this data directory",
        )?;
    }
    Ok(0)
}
