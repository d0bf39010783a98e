//! `jhe-ow settings`.

use std::io::{BufRead, Read};

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{say, say_json};
use crate::config::settings;
use crate::config::settings::{Setting, Snapshot};
use crate::model::account::Actor;
use crate::store::engine::setting;
use crate::store::privacy::audit;

/// Bytes of a value that are taken from standard input: more than any has.
const LONGEST_VALUE: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every setting, its value, where that comes from, and what it does
    List {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// The value of one setting
    Get {
        /// Its name, such as module.ow
        key: String,
        /// One JSON document, as in the list
        #[arg(long)]
        json: bool,
    },
    /// Set one setting; holds from the next tick on
    Set {
        /// Its name, such as module.ow
        key: String,
        /// Its value; - reads it from standard input, so that it stands in no list of processes and no history
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Put one setting back to its default
    Unset {
        /// Its name, such as module.ow
        key: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List { json } => {
            let snapshot = session.store()?.settings().await?;
            for setting in settings::ALL {
                if json {
                    say_json(&document(setting, &snapshot))?;
                } else {
                    say(format_args!("{}\n    {}", line(setting, &snapshot), setting.about))?;
                }
            }
        }
        Command::Get { key, json } => {
            let (setting, snapshot) = (settings::find(&key)?, session.store()?.settings().await?);
            if json {
                say_json(&document(setting, &snapshot))?;
            } else {
                say(setting.show(snapshot.text(setting.key)))?;
            }
        }
        Command::Set { key, value } => {
            let setting = settings::find(&key)?;
            let value = if value == "-" { first_line()? } else { value };
            let value = setting.check(&value)?;
            change(session, setting, Some(value)).await?;
        }
        Command::Unset { key } => change(session, settings::find(&key)?, None).await?,
    }
    Ok(0)
}

/// The first line of standard input; the rest is left alone.
fn first_line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(LONGEST_VALUE).read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}"), ""))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage("there is no value on standard input", "put it into the first line")),
        value => Ok(value.to_owned()),
    }
}

/// The audit says which setting was changed; what to, only where it is no secret.
async fn change(session: &Session, setting: &'static Setting, value: Option<String>) -> Result<(), Failure> {
    let now = session.clock.now();
    let shown = setting.show(value.as_deref().unwrap_or(setting.default)).to_owned();
    let note = format!("{} = {shown}", setting.key);
    let key = session.config.secret_key.as_ref();
    let value = value.map(|value| setting.kept(key, value)).transpose()?;
    let store = session.store()?;
    let write = move |db: &rusqlite::Connection| {
        match &value {
            Some(value) => setting::set(db, setting.key, value)?,
            None => setting::unset(db, setting.key).map(drop)?,
        }
        audit::record(db, now, Actor::CommandLine, "settings.set", None, &note)?;
        Ok(note)
    };
    say(store.write(write).await?)
}

fn document(setting: &Setting, snapshot: &Snapshot) -> serde_json::Value {
    json!({
        "key": setting.key,
        "value": setting.show(snapshot.text(setting.key)),
        "set": snapshot.stored(setting.key).is_some(),
        "default": setting.default,
        "about": setting.about,
    })
}

fn line(setting: &Setting, snapshot: &Snapshot) -> String {
    let (key, value) = (setting.key, setting.show(snapshot.text(setting.key)));
    match (snapshot.stored(key), setting.default) {
        (Some(_), "") => format!("{key} = {value}  (set; no default)"),
        (Some(_), default) => format!("{key} = {value}  (set; default: {default})"),
        (None, "") => format!("{key}  (not set; no default)"),
        (None, _) => format!("{key} = {value}  (default)"),
    }
}
