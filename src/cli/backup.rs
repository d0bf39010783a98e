//! `jhe-ow backup` and `jhe-ow restore`: copy the store to a file, and replace it by a copy.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::app::session::Session;
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line};
use crate::daemon::signals;
use crate::model::account::Actor;
use crate::store::engine::{backup, restore};
use crate::store::privacy::restored;

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
    /// The backup file; none with --confirm-consents confirms the consents of a store that is restored already
    #[arg(required_unless_present = "confirm_consents")]
    file: Option<PathBuf>,
    /// Replace even a store with newer or more data than the backup; the old store stays beside the new one
    #[arg(long)]
    force: bool,
    /// Confirm the consents that were recorded here: you know who has withdrawn since the backup
    #[arg(long)]
    confirm_consents: bool,
}

pub(crate) async fn create(session: &Session, arguments: BackupArguments) -> Result<u8, Failure> {
    let cancel = signals::cancel_on_signal()?;
    let (directory, began) = (session.config.data_dir.clone(), Instant::now());
    let BackupArguments { file, force } = arguments;
    let task = tokio::task::spawn_blocking(move || backup::create(&directory, &file, force, &cancel));
    let made =
        task.await.map_err(|error| Failure::failed(error.to_string(), "report it with this text"))??;
    print_line(format_args!(
        "{}: {} bytes, {}, checked, in {:.1} s",
        made.path.display(),
        made.bytes,
        counted(made.contents.observations, "observation"),
        began.elapsed().as_secs_f64()
    ))?;
    Ok(0)
}

pub(crate) async fn restore(session: &Session, arguments: &RestoreArguments) -> Result<u8, Failure> {
    let (directory, now) = (&session.config.data_dir, session.clock.now());
    let RestoreArguments { file, force, confirm_consents } = arguments;
    let Some(file) = file else {
        let confirm = move |db: &_| restored::confirm_suspended(db, None, Actor::CommandLine, now);
        let confirmed = session.store()?.write(confirm).await?;
        print_line(format_args!("confirmed the consents of {}", counted(confirmed, "patient")))?;
        return Ok(0);
    };
    let done = restore::restore(directory, file, *force, *confirm_consents, now)?;
    let last = done.contents.last.map_or_else(|| "before the first sample".to_owned(), |at| at.to_string());
    print_line(format_args!(
        "restored {}, as of {last}",
        counted(done.contents.observations, "observation")
    ))?;
    if let Some(replaced) = done.replaced {
        print_line(format_args!("the old store is now {}", replaced.display()))?;
    }
    if done.knows_withdrawals {
        eprintln!(
            "The withdrawals, erasures and disabled accounts that the old store knows hold in this one too."
        );
    } else {
        eprintln!(
            "The old store does not tell who has withdrawn or was erased since then. Erase those whom you know of again \
             (jhe-ow patient erase). JHE is asked about its patients' consents before anything is read."
        );
    }
    if done.suspended > 0 {
        eprintln!(
            "The consents of {} that were recorded here are suspended: nothing of them is read until \
             you confirm them on the page /admin/restored, or with jhe-ow restore --confirm-consents.",
            counted(done.suspended, "patient")
        );
    }
    eprintln!(
        "Everybody has to sign in again; invitations and API tokens have ended. The next ticks read the samples since \
         then again. Other changes since then are lost, such as new patients, accounts and settings."
    );
    Ok(0)
}
