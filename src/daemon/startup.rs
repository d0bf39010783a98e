//! Start-up of `serve`: the address is bound first, then the store is opened. While the store cannot be
//! opened, the server answers with the reason.

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

use crate::alerts::store_outage::StoreOutage;
use crate::app::study_data;
use crate::app::{instance, session::Session, state::App};
use crate::common::failure::Failure;
use crate::daemon::systemd::notify;
use crate::store::engine::{directory_lock, store::Store};
use crate::store::operations::sealed;
use crate::web::{gate::Gate, server};

/// The retry interval for a store that cannot be opened. Somebody who repairs a disk watches the page.
const RETRY: Duration = Duration::from_secs(5);

/// An open store, and the lock that keeps a second daemon out of its directory.
pub(crate) struct LockedStore {
    pub(crate) store: Store,
    pub(crate) _lock: File,
}

/// The bound listener, or the server that already answers on it.
pub(crate) enum Frontend {
    Listening(TcpListener),
    /// The server answers with the reason why there is no store.
    Unavailable(Gate, JoinHandle<()>),
}

impl Frontend {
    /// Serves the pages from now on. Returns the server's task.
    pub(crate) fn serve_pages(self, app: App, cancel: &CancellationToken) -> JoinHandle<()> {
        match self {
            Self::Listening(listener) => {
                tokio::spawn(server::serve(listener, Gate::open(app), cancel.clone()))
            }
            Self::Unavailable(gate, server) => {
                gate.set_open(app);
                server
            }
        }
    }

    /// Logs why there is no store, and answers with it from now on.
    pub(crate) fn report(self, failure: Failure, cancel: &CancellationToken) -> Self {
        tracing::error!(next = failure.remedy, "waiting for the store: {}", failure.message);
        // systemd restarts a service that does not become ready in time, again and again.
        notify(&[NotifyState::Ready, NotifyState::Status(&failure.message)]);
        self.serve_reason(failure, cancel)
    }

    fn serve_reason(self, why: Failure, cancel: &CancellationToken) -> Self {
        match self {
            Self::Listening(listener) => {
                let gate = Gate::unavailable(why);
                let server = tokio::spawn(server::serve(listener, gate.clone(), cancel.clone()));
                Self::Unavailable(gate, server)
            }
            Self::Unavailable(gate, server) => {
                gate.set_unavailable(why);
                Self::Unavailable(gate, server)
            }
        }
    }
}

/// Opens the store of the data directory, and retries until that works: systemd would only restart a daemon
/// that exits, and nobody would see the reason. Returns none if `cancel` comes first, and an error if another
/// daemon serves the directory.
pub(crate) async fn open_store(
    session: &Session,
    listener: TcpListener,
    cancel: &CancellationToken,
) -> Result<Option<(LockedStore, Frontend)>, Failure> {
    let (errors, observed) = watch::channel(None);
    tokio::select! {
        opened = retry_until_open(&session.config.data_dir, listener, &errors, cancel) => opened,
        never = send_outage_alerts(session, observed) => match never {},
    }
}

/// Sends alerts about a store that cannot be opened, beside the attempts: a mail server that hangs must not
/// delay them.
async fn send_outage_alerts(session: &Session, mut errors: watch::Receiver<Option<Failure>>) -> Infallible {
    let mut outage = StoreOutage::default();
    loop {
        let error = errors.borrow_and_update().as_ref().map(|failure| failure.message.clone());
        outage.update(&session.config, error.as_deref(), session.clock.now()).await;
        // A change wakes at once; the timeout lets an outage become old enough for its alert.
        let _ = tokio::time::timeout(RETRY, errors.changed()).await;
    }
}

async fn retry_until_open(
    directory: &Path,
    listener: TcpListener,
    errors: &watch::Sender<Option<Failure>>,
    cancel: &CancellationToken,
) -> Result<Option<(LockedStore, Frontend)>, Failure> {
    let mut frontend = Frontend::Listening(listener);
    loop {
        let path = directory.to_owned();
        let attempt = tokio::task::spawn_blocking(move || lock_and_open(&path));
        let failure = match feed_watchdog_during(attempt).await {
            Ok(Ok(Some(opened))) => return Ok(Some((opened, frontend))),
            Ok(Ok(None)) => {
                return Err(Failure::failed(
                    format!("another daemon serves the data directory {}", directory.display()),
                    "stop that one first, or name another directory with --data-dir",
                ));
            }
            Ok(Err(failure)) => failure,
            Err(error) => {
                Failure::failed(format!("the store could not be opened: {error}"), "report this text")
            }
        };
        if errors.borrow().as_ref() != Some(&failure) {
            frontend = frontend.report(failure.clone(), cancel);
        }
        errors.send_replace(Some(failure));
        if pause(cancel).await.is_none() {
            return Ok(None);
        }
    }
}

/// Waits until the next attempt; returns none if the daemon is to end.
pub(crate) async fn pause(cancel: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = cancel.cancelled() => None,
        () = feed_watchdog_during(tokio::time::sleep(RETRY)) => Some(()),
    }
}

/// Awaits a future and feeds systemd's watchdog meanwhile: a restart would find the same disk.
async fn feed_watchdog_during<T>(future: impl Future<Output = T>) -> T {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return future.await };
    let mut future = std::pin::pin!(future);
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::select! {
            done = &mut future => return done,
            () = tokio::time::sleep(timeout / 2) => {}
        }
    }
}

/// Logs that the configured keys do not open the sealed values of the store. The daemon goes on: most of its work needs
/// none of them.
pub(crate) async fn report_wrong_key(app: &App) {
    let key = app.live.config().secret_key;
    let read_with = key.clone();
    match app.store.read(move |db| sealed::inspect(db, read_with.as_ref())).await {
        Ok(found) => {
            if let Some(failure) = found.failure(key.as_ref()) {
                tracing::error!(next = failure.remedy, "{}", failure.message);
            } else if let Some(left) = found.left_to_rotate() {
                tracing::warn!(next = sealed::ROTATE, "{left}");
            }
        }
        Err(error) => tracing::warn!("the sealed values could not be checked: {error}"),
    }
}

/// Returns none if another daemon holds the lock.
fn lock_and_open(directory: &Path) -> Result<Option<LockedStore>, Failure> {
    let lock = directory_lock::lock_for_daemon(directory, instance::process_instance())?;
    let Some(lock) = lock else { return Ok(None) };
    let store = Store::open(directory)?;
    study_data::remove_unfinished(directory);
    Ok(Some(LockedStore { store, _lock: lock }))
}
