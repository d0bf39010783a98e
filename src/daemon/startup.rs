//! How `serve` begins: the address first, then the store; and what it does for as long as there is none.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alerts::store_outage::Outage;
use crate::app::instance;
use crate::app::session::Session;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::daemon::systemd::notify;
use crate::store::engine::directory_lock;
use crate::store::engine::store::Store;
use crate::web::gate::Door;
use crate::web::server;

/// How soon a store that could not be opened is tried again. Whoever mends a disk is watching.
const AGAIN: Duration = Duration::from_secs(5);

/// The store of the one daemon that serves a data directory.
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// Keeps other daemons away for as long as it lives.
    pub(crate) _claim: File,
}

/// The listener, or the server that already answers on it.
pub(crate) enum Front {
    /// Nobody has been answered yet.
    Listening(TcpListener),
    /// People are told why there is no store.
    Answering(Door, JoinHandle<()>),
}

impl Front {
    /// Leads people to the pages from now on; answers with the server.
    pub(crate) fn admit(self, app: App, cancel: &CancellationToken) -> JoinHandle<()> {
        match self {
            Self::Listening(listener) => {
                tokio::spawn(server::serve(listener, Door::open(app), cancel.clone()))
            }
            Self::Answering(door, server) => {
                door.admit(app);
                server
            }
        }
    }

    fn refuse(self, why: Failure, cancel: &CancellationToken) -> Self {
        match self {
            Self::Listening(listener) => {
                let door = Door::closed(why);
                let server = tokio::spawn(server::serve(listener, door.clone(), cancel.clone()));
                Self::Answering(door, server)
            }
            Self::Answering(door, server) => {
                door.close(why);
                Self::Answering(door, server)
            }
        }
    }
}

/// Opens the store of the data directory, and tries until it can be opened: a daemon that ended instead would only be started
/// again, and could tell nobody why. None where `cancel` came first.
///
/// # Errors
/// Where another daemon serves the same directory.
pub(crate) async fn open(
    session: &Session,
    listener: TcpListener,
    cancel: &CancellationToken,
) -> Result<Option<(Opened, Front)>, Failure> {
    let (trouble, watched) = watch::channel(None);
    tokio::select! {
        opened = attempts(&session.config.data_dir, listener, &trouble, cancel) => opened,
        never = tell(session, watched) => match never {},
    }
}

/// Tells of a store that cannot be opened, beside the attempts: a mail server that hangs keeps nobody from the store.
async fn tell(session: &Session, mut trouble: watch::Receiver<Option<Failure>>) -> Infallible {
    let mut outage = Outage::default();
    loop {
        let why = trouble.borrow_and_update().as_ref().map(|failure| failure.what.clone());
        outage.look(&session.config, why.as_deref(), session.clock.now()).await;
        // What is new is looked at at once; that it goes on is told once it has for a while.
        let _ = tokio::time::timeout(AGAIN, trouble.changed()).await;
    }
}

async fn attempts(
    directory: &Path,
    listener: TcpListener,
    trouble: &watch::Sender<Option<Failure>>,
    cancel: &CancellationToken,
) -> Result<Option<(Opened, Front)>, Failure> {
    let mut front = Front::Listening(listener);
    loop {
        let here = directory.to_owned();
        let attempt = tokio::task::spawn_blocking(move || attempt(&here));
        let failure = match while_fed(attempt).await {
            Ok(Ok(Some(opened))) => return Ok(Some((opened, front))),
            Ok(Ok(None)) => return Err(served(directory)),
            Ok(Err(failure)) => failure,
            Err(error) => {
                Failure::failed(format!("the store could not be opened: {error}"), "report this text")
            }
        };
        if trouble.borrow().as_ref() != Some(&failure) {
            tracing::error!(next = failure.next, "waiting for the store: {}", failure.what);
            // Not to be ready would mean to be restarted, again and again.
            notify(&[NotifyState::Ready, NotifyState::Status(&failure.what)]);
        }
        front = front.refuse(failure.clone(), cancel);
        trouble.send_replace(Some(failure));
        tokio::select! {
            () = cancel.cancelled() => return Ok(None),
            () = while_fed(tokio::time::sleep(AGAIN)) => {}
        }
    }
}

/// Waits for something, and has systemd's watchdog hear of a process that lives: another start would find no other disk.
async fn while_fed<T>(waited_for: impl Future<Output = T>) -> T {
    let Some(asked) = sd_notify::watchdog_enabled() else { return waited_for.await };
    let mut waited_for = std::pin::pin!(waited_for);
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::select! {
            done = &mut waited_for => return done,
            () = tokio::time::sleep(asked / 2) => {}
        }
    }
}

fn attempt(directory: &Path) -> Result<Option<Opened>, Failure> {
    let Some(claim) = directory_lock::daemon(directory, instance::of_process())? else { return Ok(None) };
    Ok(Some(Opened { store: Store::open(directory)?, _claim: claim }))
}

fn served(directory: &Path) -> Failure {
    Failure::failed(
        format!("another daemon serves the data directory {}", directory.display()),
        "stop that one first, or name another directory with --data-dir",
    )
}
