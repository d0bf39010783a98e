//! `jhe-ow settings`: lists, reads and changes the run-time settings.

use std::io::{BufRead, Read};

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::config::settings::{self, Setting, Settings};
use crate::model::account::Actor;
use crate::store::{engine::setting, privacy::audit};

/// The most bytes that are read from standard input; no value is longer.
const MAX_VALUE_BYTES: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all settings, with value, default and description
    List {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// Print the value of one setting
    Get {
        /// The setting's key, such as module.ow
        key: String,
        /// One JSON document, as in the list
        #[arg(long)]
        json: bool,
    },
    /// Change one setting; it takes effect at the next tick
    Set {
        /// The setting's key, such as module.ow
        key: String,
        /// The value; - reads it from standard input, which keeps it out of process lists and the shell's
        /// history
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Reset one setting to its default
    Unset {
        /// The setting's key, such as module.ow
        key: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List { json } => {
            let snapshot = session.store()?.settings().await?;
            for setting in settings::SETTINGS {
                if json {
                    print_json(&document(setting, &snapshot))?;
                } else {
                    print_line(line(setting, &snapshot))?;
                    print_line(format_args!("    {}", setting.about))?;
                }
            }
        }
        Command::Get { key, json } => {
            let (setting, snapshot) = (settings::find(&key)?, session.store()?.settings().await?);
            if json {
                print_json(&document(setting, &snapshot))?;
            } else {
                print_line(setting.mask(snapshot.text(setting.key)))?;
            }
        }
        Command::Set { key, value } => {
            let setting = settings::find(&key)?;
            let value = if value == "-" { read_first_line()? } else { value };
            let value = setting.normalize(&value)?;
            change(session, setting, Some(value)).await?;
        }
        Command::Unset { key } => change(session, settings::find(&key)?, None).await?,
    }
    Ok(0)
}

/// Reads the first line of standard input.
fn read_first_line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_VALUE_BYTES).read_line(&mut line);
    read.map_err(|error| Failure::failed(format!("standard input cannot be read: {error}"), ""))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage("there is no value on standard input", "put it into the first line")),
        value => Ok(value.to_owned()),
    }
}

/// Changes a setting. The audit entry holds the value only if it is not secret.
async fn change(session: &Session, setting: &'static Setting, value: Option<String>) -> Result<(), Failure> {
    let now = session.clock.now();
    let shown = setting.mask(value.as_deref().unwrap_or(setting.default)).to_owned();
    let (line, detail) = (format!("{} = {shown}", setting.key), setting.audit_detail(value.as_deref()));
    let key = session.config.secret_key.as_ref();
    let value = value.map(|value| setting.to_stored(key, value)).transpose()?;
    let store = session.store()?;
    let write = move |db: &rusqlite::Connection| {
        match &value {
            Some(value) => setting::set(db, setting.key, value)?,
            None => setting::unset(db, setting.key).map(drop)?,
        }
        audit::record(db, now, Actor::CommandLine, "settings.set", None, detail)?;
        Ok(line)
    };
    print_line(store.write(write).await?)
}

fn document(setting: &Setting, snapshot: &Settings) -> serde_json::Value {
    json!({
        "key": setting.key,
        "value": setting.mask(snapshot.text(setting.key)),
        "set": snapshot.stored(setting.key).is_some(),
        "default": setting.default,
        "about": setting.about,
    })
}

fn line(setting: &Setting, snapshot: &Settings) -> String {
    let (key, value) = (setting.key, setting.mask(snapshot.text(setting.key)));
    match (snapshot.stored(key), setting.default) {
        (Some(_), "") => format!("{key} = {value}  (set; no default)"),
        (Some(_), default) => format!("{key} = {value}  (set; default: {default})"),
        (None, "") => format!("{key}  (not set; no default)"),
        (None, _) => format!("{key} = {value}  (default)"),
    }
}
