//! `jhe-ow patient erase` and `readmit`: erase a patient, and allow the person to be added again.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use crate::app::{backup_rotation, session::Session};
use crate::cli::prompt;
use crate::common::visible::VisibleLine;
use crate::common::{failpoint, failure::Failure, stdout::print_line};
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::ow::{connection::ProviderConnection, connector::CallError};
use crate::store::engine::{backup::DIRECTORY, setting, store::Store};
use crate::store::error::StoreError;
use crate::store::privacy::{audit, erased_identifiers, erasure};

#[derive(Debug, Args)]
pub(crate) struct EraseArguments {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Erase even if OW cannot disconnect the device
    #[arg(long)]
    without_ow: bool,
}

/// Erases a patient, or resumes an erasure that was cut off.
pub(crate) async fn run(session: &Session, arguments: EraseArguments) -> Result<(), Failure> {
    let (store, who) = (session.store()?, arguments.id);
    let (id, begun) = store
        .read(move |db| {
            let id = erasure::resolve(db, who)?;
            Ok((id, erased_identifiers::find_erasure(db, id)?))
        })
        .await?;
    if begun.is_none_or(|begun| begun.vacuumed.is_none()) {
        confirm(id, arguments.yes).await?;
    }
    let user = store.read(move |db| erasure::find_linked_user(db, id)).await?;
    if let Some(user) = &user {
        match disconnect(session, &store, id, user).await {
            Err(failure) if !arguments.without_ow => return Err(failure),
            Err(failure) => eprintln!("{}; going on, as you said", VisibleLine(&failure.message)),
            Ok(()) => {}
        }
    }
    erase(session, &store, id).await?;
    let vacuumed = vacuum(session, &store).await;
    let is_log_cut = vacuumed.map_err(|error| {
        Failure::failed(
            format!("the rows are deleted, but the file was not rewritten and may hold their bytes: {error}"),
            format!(
                "make room for a copy of it, stop a busy daemon, and run jhe-ow patient erase {id} --yes"
            ),
        )
    })?;
    print_copies(session, &store, id, user.as_ref()).await?;
    if !is_log_cut {
        print_line("  the store's log file (-wal): while a reader has it open, its bytes stay")?;
    }
    Ok(())
}

pub(crate) async fn readmit(session: &Session, who: PatientRef) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let id = erasure::resolve(db, who)?;
        let was_blocked = erased_identifiers::readmit(db, id)?;
        if was_blocked {
            audit::record(db, now, Actor::CommandLine, "patient.readmit", Some(id), "")?;
        }
        Ok((id, was_blocked))
    };
    let (id, was_blocked) = store.write(write).await?;
    let result =
        if was_blocked { "can be added again, as a new patient" } else { "was not blocked from being added" };
    print_line(format_args!("the person who was patient {id} {result}"))
}

/// Asks for the patient's number before an erasure, unless `--yes` is given.
async fn confirm(id: PatientId, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let unconfirmed = || {
        let message = format!("everything that is stored of patient {id} would be erased, for good");
        Failure::usage(message, "add --yes to confirm; run jhe-ow patient export first if you need a copy")
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed());
    }
    let question =
        format!("Everything that is stored of patient {id} is erased, for good. Type {id} to confirm: ");
    let typed = prompt::ask(question, "add --yes").await?;
    if typed.trim() == id.to_string() { Ok(()) } else { Err(unconfirmed()) }
}

/// Disconnects the patient's devices at OW.
async fn disconnect(session: &Session, store: &Store, id: PatientId, user: &OwUser) -> Result<(), Failure> {
    let failed = |why: String| {
        Failure::failed(
            format!("OW could not disconnect the device of {user}: {why}"),
            "try again, or add --without-ow and end the connection there by hand. Nothing was erased",
        )
    };
    let ow = session.ow()?.ok_or_else(|| failed("OW_API_URL / OW_API_KEY not configured".to_owned()))?;
    let connections = match ow.list_connections(user).await {
        Err(CallError::Status { status: 404, .. }) => Vec::new(),
        answer => answer.map_err(|error| failed(error.to_string()))?,
    };
    for connection in connections.into_iter().filter(ProviderConnection::is_active) {
        ow.disconnect(user, &connection.provider).await.map_err(|error| failed(error.to_string()))?;
        let now = session.clock.now();
        let write = move |db: &_| {
            audit::record(
                db,
                now,
                Actor::CommandLine,
                "device.disconnect",
                Some(id),
                AuditDetail::default().with_provider(&connection.provider),
            )
        };
        store.write(write).await?;
    }
    Ok(())
}

async fn erase(session: &Session, store: &Store, id: PatientId) -> Result<(), Failure> {
    let now = session.clock.now();
    store.write(move |db| erasure::begin(db, id, now)).await?;
    failpoint::at("erase.ended");
    while store.write(move |db| erasure::delete_batch(db, id, now)).await? {}
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
    store.write(move |db| erasure::record_vacuum(db, now)).await?;
    Ok(is_log_cut)
}

/// Prints the result, and the copies that the command cannot reach.
async fn print_copies(
    session: &Session,
    store: &Store,
    id: PatientId,
    user: Option<&OwUser>,
) -> Result<(), Failure> {
    let read = move |db: &rusqlite::Connection| {
        Ok((erased_identifiers::find_erasure(db, id)?, setting::read_all(db)?))
    };
    let (done, settings) = store.read(read).await?;
    let data = session.config.data_dir.clone();
    let directories: BTreeSet<PathBuf> =
        [data.clone(), data.join(DIRECTORY), backup_rotation::directory(&settings, &data)].into();
    let directories: Vec<PathBuf> = directories.into_iter().collect();
    let copies =
        tokio::task::spawn_blocking(move || erasure::find_copies(&directories, id)).await.unwrap_or_default();
    print_line(format_args!("patient {id} is erased: the store holds nothing of the patient"))?;
    print_line("Copies elsewhere:")?;
    for copy in &copies {
        let state =
            if copy.is_readable { "has the patient" } else { "cannot be read, and may have the patient" };
        print_line(format_args!("  {}: {state}; remove it, or let it expire", copy.path.display()))?;
    }
    let others = if copies.is_empty() { "backups" } else { "other backups" };
    print_line(format_args!("  {others}, and replicas: after a restore of one, erase the patient again"))?;
    let user = user.map_or_else(|| "the patient".to_owned(), ToString::to_string);
    print_line(format_args!("  OW keeps its data of {user}; delete the user there"))?;
    if done.is_some_and(|done| done.was_at_jhe) {
        print_line("  JHE keeps the observations that it received; ask its operator to delete them")?;
    }
    print_line(
        "  the audit log here keeps the numbers of the patient, OW's user and JHE's patient, and no name",
    )?;
    print_line("  log files")
}
