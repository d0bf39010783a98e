//! `jhe-ow backup` and `jhe-ow restore`: copy the store to a file, and replace it by a copy.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::session::Session;
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line};
use crate::daemon::signals;
use crate::model::account::Actor;
use crate::store::engine::backup::{self, BackupFile};
use crate::store::engine::restore;
use crate::store::privacy::restored;

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The file to write; - writes to standard output, which must not be a terminal
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
    let to_stdout = file.as_os_str() == "-";
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a backup is not written to a terminal",
            "name a file, or send it on: jhe-ow backup - | age --recipient KEY > jhe-ow.sqlite3.age",
        ));
    }
    let task = tokio::task::spawn_blocking(move || {
        if to_stdout {
            write_to_stdout(&directory, &cancel)
        } else {
            backup::create(&directory, &file, force, &cancel)
        }
    });
    let made =
        task.await.map_err(|error| Failure::failed(error.to_string(), "report it with this text"))??;
    let name = if to_stdout { "standard output".to_owned() } else { made.path.display().to_string() };
    let summary = format!(
        "{name}: {} bytes, {}, checked, in {:.1} s",
        made.bytes,
        counted(made.contents.observations, "observation"),
        began.elapsed().as_secs_f64()
    );
    if to_stdout {
        eprintln!("{summary}");
    } else {
        print_line(summary)?;
    }
    Ok(0)
}

/// Makes and checks a backup in a private directory, then copies it: a backup that fails writes nothing.
fn write_to_stdout(directory: &Path, cancel: &CancellationToken) -> Result<BackupFile, Failure> {
    let (_temporary, made) = backup::create_temporary(directory, cancel)?;
    let incomplete = |error: std::io::Error| {
        Failure::failed(
            format!("standard output cannot be written: {error}"),
            "the copy that was read is incomplete: throw it away, and start again",
        )
    };
    let mut file = File::open(&made.path).map_err(incomplete)?;
    let mut stdout = std::io::stdout().lock();
    let copied = std::io::copy(&mut file, &mut stdout).map_err(incomplete)?;
    stdout.flush().map_err(incomplete)?;
    if copied != made.bytes {
        return Err(incomplete(ErrorKind::UnexpectedEof.into()));
    }
    Ok(made)
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
