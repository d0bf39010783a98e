//! `jhe-ow seed` creates the codes and data sources; `jhe-ow migrate status` shows the schema version.

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::model::account::Actor;
use crate::store::engine::inspect::{Migration, list_migrations};
use crate::store::{privacy::audit, samples::code};

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// List the migrations that this program knows, and whether the database has them; changes nothing
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
        0 => print_line("everything was there already")?,
        made => print_line(format_args!("made {made} codes and data sources"))?,
    }
    Ok(0)
}

pub(crate) fn migrate(session: &Session, command: &Migrate) -> Result<u8, Failure> {
    match command {
        Migrate::Status { json } => {
            for migration in list_migrations(&session.config.data_dir)? {
                if *json {
                    let Migration { version, name, applied } = migration;
                    print_json(&json!({ "version": version, "name": name, "applied": applied }))?;
                    continue;
                }
                let state =
                    migration.applied.map_or_else(|| "pending".to_owned(), |at| format!("applied {at}"));
                print_line(format_args!("V{}  {}  {state}", migration.version, migration.name))?;
            }
            Ok(0)
        }
    }
}
