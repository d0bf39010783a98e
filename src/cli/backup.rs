//! `jhe-ow backup` and `jhe-ow restore`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::daemon::signals;
use crate::store::engine::{backup, restore};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write
    file: PathBuf,
    /// Replace the file, where it is there already
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Replace also a store that is newer than the backup or has more; it is kept beside the new one
    #[arg(long)]
    force: bool,
}

pub(crate) async fn make(session: &Session, arguments: Backup) -> Result<u8, Failure> {
    let cancel = CancellationToken::new();
    signals::cancel_on_signal(&cancel)?;
    let (directory, began) = (session.config.data_dir.clone(), Instant::now());
    let Backup { file, force } = arguments;
    let making = tokio::task::spawn_blocking(move || backup::make(&directory, &file, force, &cancel));
    let made =
        making.await.map_err(|error| Failure::failed(error.to_string(), "report it with this text"))??;
    say(format_args!(
        "{}: {} bytes, {} observations, checked, in {:.1} s",
        made.path.display(),
        made.bytes,
        made.contents.observations,
        began.elapsed().as_secs_f64()
    ))?;
    Ok(0)
}

pub(crate) fn restore(session: &Session, arguments: &Restore) -> Result<u8, Failure> {
    let directory = &session.config.data_dir;
    let done = restore::restore(directory, &arguments.file, arguments.force, session.clock.now())?;
    let last = done.contents.last.map_or_else(|| "its beginning".to_owned(), |at| at.to_string());
    say(format_args!("restored {} observations, as of {last}", done.contents.observations))?;
    if let Some(replaced) = done.replaced {
        say(format_args!("what was there is kept as {}", replaced.display()))?;
    }
    eprintln!(
        "Samples since then come back with the next ticks. Look through what people did since then, which does not: \
         withdrawals that were noted here, accounts, passwords, settings."
    );
    Ok(0)
}
