//! `jhe-ow patient erase` and `readmit`.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use crate::app::backup_rotation;
use crate::app::session::Session;
use crate::common::failpoint;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::model::account::Actor;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::ow::connection::Connection;
use crate::ow::connector::{CallError, Connector};
use crate::store::engine::backup::DIRECTORY;
use crate::store::engine::setting;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::privacy::{audit, erased_identifiers, erasure};

#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// Go on where OW cannot be told to let go of the device
    #[arg(long)]
    without_ow: bool,
}

/// `patient erase ID`. One that was cut off is taken up where it was.
pub(crate) async fn run(session: &Session, arguments: Erase) -> Result<(), Failure> {
    let (store, who) = (session.store()?, arguments.id);
    let (id, begun) = store
        .read(move |db| {
            let id = erasure::resolve(db, who)?;
            Ok((id, erased_identifiers::find(db, id)?))
        })
        .await?;
    if begun.is_none_or(|begun| begun.vacuumed.is_none()) {
        confirm(id, arguments.yes).await?;
    }
    let user = store.read(move |db| erasure::linked_user(db, id)).await?;
    if let Some(user) = &user {
        match disconnect(session, &store, id, user).await {
            Err(failure) if !arguments.without_ow => return Err(failure),
            Err(failure) => eprintln!("{}; going on, as you said", failure.what),
            Ok(()) => {}
        }
    }
    erase(session, &store, id).await?;
    let vacuumed = vacuum(session, &store).await;
    let is_log_cut = vacuumed.map_err(|error| {
        Failure::failed(
            format!("the rows are gone, but the file could not be rewritten, and may have remains of them: {error}"),
            format!(
                "make room for a second copy of it, stop the daemon where it is busy, and say it again: jhe-ow patient \
                 erase {id} --yes"
            ),
        )
    })?;
    tell(session, &store, id, user.as_ref()).await?;
    if !is_log_cut {
        say("  the log of the store (-wal), which somebody reads all the time: until it is written over")?;
    }
    Ok(())
}

/// `patient readmit ID`.
pub(crate) async fn readmit(session: &Session, who: PatientRef) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let id = erasure::resolve(db, who)?;
        let known = erasure::readmit(db, id)?;
        if known {
            audit::record(db, now, Actor::CommandLine, "patient.readmit", Some(id), "")?;
        }
        Ok((id, known))
    };
    match store.write(write).await? {
        (id, true) => say(format_args!("whoever was patient {id} can come in again, as a new patient")),
        (id, false) => say(format_args!("nothing keeps whoever was patient {id} out")),
    }
}

/// Erasing cannot be undone: whoever asks for it says so, or types the number.
async fn confirm(id: PatientId, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let unsaid = || {
        let what = format!("everything that is kept of patient {id} would be erased, for good");
        Failure::usage(what, "add --yes where that is meant; jhe-ow patient export comes before")
    };
    if !std::io::stdin().is_terminal() {
        return Err(unsaid());
    }
    let ask = move || {
        let mut output = std::io::stdout().lock();
        write!(
            output,
            "Everything that is kept of patient {id} is erased, for good. Type {id} if you mean it: "
        )?;
        output.flush()?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    let typed = tokio::task::spawn_blocking(ask).await.map_err(std::io::Error::other).and_then(|line| line);
    let typed =
        typed.map_err(|error| Failure::failed(format!("nobody can be asked: {error}"), "add --yes"))?;
    if typed.trim() == id.to_string() { Ok(()) } else { Err(unsaid()) }
}

/// Has OW let go of the patient's devices.
async fn disconnect(session: &Session, store: &Store, id: PatientId, user: &OwUser) -> Result<(), Failure> {
    let failed = |why: String| {
        Failure::failed(
            format!("OW was not told to let go of the device of {user}: {why}"),
            "try again, or add --without-ow and end the connection there by hand. Nothing was erased",
        )
    };
    let (Some(url), Some(key)) = (&session.config.ow_api_url, &session.config.ow_api_key) else {
        return Err(failed("OW_API_URL / OW_API_KEY not configured".to_owned()));
    };
    let ow = Connector::new(url, key)?;
    let connections = match ow.connections(user).await {
        Err(CallError::Answered { status: 404, .. }) => Vec::new(),
        answer => answer.map_err(|error| failed(error.to_string()))?,
    };
    for one in connections.into_iter().filter(Connection::is_active) {
        ow.disconnect(user, &one.provider).await.map_err(|error| failed(error.to_string()))?;
        let now = session.clock.now();
        let note = move |db: &_| {
            audit::record(db, now, Actor::CommandLine, "device.disconnect", Some(id), &one.provider)
        };
        store.write(note).await?;
    }
    Ok(())
}

async fn erase(session: &Session, store: &Store, id: PatientId) -> Result<(), Failure> {
    let now = session.clock.now();
    store.write(move |db| erasure::begin(db, id, now)).await?;
    failpoint::at("erase.ended");
    while store.write(move |db| erasure::step(db, id, now)).await? {}
    let now = session.clock.now();
    store.write(move |db| erasure::finish(db, id, now)).await?;
    failpoint::at("erase.gone");
    Ok(())
}

async fn vacuum(session: &Session, store: &Store) -> Result<bool, StoreError> {
    let (directory, now) = (store.directory().to_owned(), session.clock.now());
    let work = tokio::task::spawn_blocking(move || erasure::vacuum(&directory));
    let is_log_cut = work.await.unwrap_or(Err(StoreError::Closed))?;
    failpoint::at("erase.vacuumed");
    store.write(move |db| erasure::note_vacuumed(db, now)).await?;
    Ok(is_log_cut)
}

/// Says what was done, and what is out of reach.
async fn tell(session: &Session, store: &Store, id: PatientId, user: Option<&OwUser>) -> Result<(), Failure> {
    let read = move |db: &rusqlite::Connection| Ok((erased_identifiers::find(db, id)?, setting::all(db)?));
    let (done, settings) = store.read(read).await?;
    let data = session.config.data_dir.clone();
    let directories: BTreeSet<PathBuf> =
        [data.clone(), data.join(DIRECTORY), backup_rotation::directory(&settings, &data)].into();
    let directories: Vec<PathBuf> = directories.into_iter().collect();
    let copies =
        tokio::task::spawn_blocking(move || erasure::copies(&directories, id)).await.unwrap_or_default();
    say(format_args!("patient {id} is erased: nothing of the patient is kept in the store"))?;
    say("Not within reach:")?;
    for copy in &copies {
        let state = if copy.is_read { "has the patient" } else { "may have the patient, and cannot be read" };
        say(format_args!("  {}: {state}; remove it, or let it expire", copy.path.display()))?;
    }
    let others = if copies.is_empty() { "backups" } else { "other backups" };
    say(format_args!(
        "  {others}, and replicas: a restore of one brings the patient back; erase again after it"
    ))?;
    let user = user.map_or_else(|| "the patient".to_owned(), ToString::to_string);
    say(format_args!("  OW: it keeps what it has stored of {user}; delete the user there"))?;
    if done.is_some_and(|done| done.is_of_jhe) {
        say(
            "  JHE: it keeps the observations that it got, some maybe just now; ask whoever runs it to delete them",
        )?;
    }
    say(
        "  the audit here, which keeps numbers and ids (of the patient, of OW's user, of JHE's patient), and no name",
    )?;
    say("  log files")
}
