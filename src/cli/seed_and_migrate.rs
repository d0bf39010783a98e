//! `jhe-ow seed` and `jhe-ow migrate`.

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{say, say_json};
use crate::model::account::Actor;
use crate::store::engine::inspect::{Migration, migrations};
use crate::store::privacy::audit;
use crate::store::samples::code;

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Which steps of the schema this program knows, and which the database has; changes nothing
    Status {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn seed(session: &Session) -> Result<u8, Failure> {
    let now = session.clock.now();
    let write = move |db: &rusqlite::Connection| {
        let made = code::seed(db)?;
        if made > 0 {
            audit::record(db, now, Actor::CommandLine, "seed", None, "")?;
        }
        Ok(made)
    };
    match session.store()?.write(write).await? {
        0 => say("everything was there already")?,
        made => say(format_args!("made {made} codes and data sources"))?,
    }
    Ok(0)
}

pub(crate) fn migrate(session: &Session, command: &Migrate) -> Result<u8, Failure> {
    match command {
        Migrate::Status { json } => {
            for migration in migrations(&session.config.data_dir)? {
                if *json {
                    let Migration { version, name, applied } = migration;
                    say_json(&json!({ "version": version, "name": name, "applied": applied }))?;
                    continue;
                }
                let state =
                    migration.applied.map_or_else(|| "pending".to_owned(), |at| format!("applied {at}"));
                say(format_args!("V{}  {}  {state}", migration.version, migration.name))?;
            }
            Ok(0)
        }
    }
}
