//! `jhe-ow settings`.

use clap::Subcommand;

use super::Session;
use super::out::say;
use crate::account::Actor;
use crate::failure::Failure;
use crate::settings::{self, Setting, Snapshot};
use crate::store::{audit, setting};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every setting, its value, where that comes from, and what it does
    List,
    /// The value of one setting
    Get {
        /// Its name, such as module.ow
        key: String,
    },
    /// Set one setting; holds from the next tick on
    Set {
        /// Its name, such as module.ow
        key: String,
        /// Its value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Put one setting back to its default
    Unset {
        /// Its name, such as module.ow
        key: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List => {
            let snapshot = snapshot(session).await?;
            for setting in &settings::ALL {
                say(format_args!("{}\n    {}", line(setting, &snapshot), setting.about))?;
            }
        }
        Command::Get { key } => {
            let setting = settings::find(&key)?;
            say(setting.show(snapshot(session).await?.text(setting.key)))?;
        }
        Command::Set { key, value } => {
            let setting = settings::find(&key)?;
            let value = setting.check(&value)?;
            change(session, setting, Some(value)).await?;
        }
        Command::Unset { key } => change(session, settings::find(&key)?, None).await?,
    }
    Ok(0)
}

async fn snapshot(session: &Session) -> Result<Snapshot, Failure> {
    Ok(Snapshot::new(session.store()?.read(setting::all).await?))
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

fn line(setting: &Setting, snapshot: &Snapshot) -> String {
    let (key, value) = (setting.key, setting.show(snapshot.text(setting.key)));
    match (snapshot.stored(key), setting.default) {
        (Some(_), "") => format!("{key} = {value}  (set; no default)"),
        (Some(_), default) => format!("{key} = {value}  (set; default: {default})"),
        (None, "") => format!("{key}  (not set; no default)"),
        (None, _) => format!("{key} = {value}  (default)"),
    }
}
