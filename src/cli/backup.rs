//! `jhe-ow backup` and `jhe-ow restore`: copy the store to a file, and replace it by a copy.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::app::session::Session;
use crate::common::{failure::Failure, stdout::print_line};
use crate::daemon::signals;
use crate::store::engine::{backup, restore};

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The file to write
    file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The backup file
    file: PathBuf,
    /// Replace even a store with newer or more data than the backup; the old store stays beside the new one
    #[arg(long)]
    force: bool,
}

pub(crate) async fn create(session: &Session, arguments: BackupArguments) -> Result<u8, Failure> {
    let cancel = signals::cancel_on_signal()?;
    let (directory, began) = (session.config.data_dir.clone(), Instant::now());
    let BackupArguments { file, force } = arguments;
    let task = tokio::task::spawn_blocking(move || backup::create(&directory, &file, force, &cancel));
    let made =
        task.await.map_err(|error| Failure::failed(error.to_string(), "report it with this text"))??;
    print_line(format_args!(
        "{}: {} bytes, {} observations, checked, in {:.1} s",
        made.path.display(),
        made.bytes,
        made.contents.observations,
        began.elapsed().as_secs_f64()
    ))?;
    Ok(0)
}

pub(crate) fn restore(session: &Session, arguments: &RestoreArguments) -> Result<u8, Failure> {
    let directory = &session.config.data_dir;
    let done = restore::restore(directory, &arguments.file, arguments.force, session.clock.now())?;
    let last = done.contents.last.map_or_else(|| "before the first sample".to_owned(), |at| at.to_string());
    print_line(format_args!("restored {} observations, as of {last}", done.contents.observations))?;
    if let Some(replaced) = done.replaced {
        print_line(format_args!("the old store is now {}", replaced.display()))?;
    }
    eprintln!(
        "The next ticks read the samples since then again. Other changes since then are lost; check the \
         withdrawals that were recorded here, accounts, passwords and settings."
    );
    Ok(0)
}
