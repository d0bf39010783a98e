//! `jhe-ow serve`: starts the ticker, the other loops and the HTTP server, and ends them after a signal.

use std::future::Future;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::app::{connect_device, session::Session, sign_in_link, state::App};
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line};
use crate::config::{environment::Environment, load};
use crate::daemon::startup::{self, Frontend};
use crate::daemon::systemd::notify;
use crate::daemon::{signals, watchdog};
use crate::poll::tick::{PollOutcome, PollSummary};
use crate::poll::{poller::PollRequest, progress::PollProgress};
use crate::store::engine::store::Store;
use crate::telemetry::logging::Logging;
use crate::telemetry::metrics::{self, TickOutcome};

/// The interval at which a switched-off ticker reads the setting `module.ow`.
const SWITCH_CHECK: Duration = Duration::from_secs(2);
/// Time for an orderly end; people and systemd expect a daemon to be gone within seconds. An unfinished
/// transaction is rolled back; committed batches stay.
const SHUTDOWN_TIME: Duration = Duration::from_millis(4500);

/// Says where the link for the first operator is. Logs are stored and passed around, so the link itself is shown on a
/// terminal only.
fn announce_first_link(directory: &Path, link: Option<&str>) -> Result<(), Failure> {
    let path = sign_in_link::write_first_link(directory, link)?;
    let Some(link) = link else { return Ok(()) };
    tracing::warn!(
        "nobody can sign in yet: the file {} has a link that signs the first operator in, once",
        path.display()
    );
    if std::io::stdout().is_terminal() {
        for line in ["This address signs the first operator in, once:", "", &format!("    {link}"), ""] {
            print_line(line)?;
        }
    }
    Ok(())
}

pub(crate) async fn run(mut session: Session, logging: &Logging) -> Result<u8, Failure> {
    let listener = listen(session.config.bind).await?;
    let bind = local_address(&listener)?;
    let cancel = signals::cancel_on_signal()?;
    let mut reloads = signals::reloads()?;
    let Some((opened, mut frontend)) = startup::open_store(&session, listener, &cancel).await? else {
        return Ok(0);
    };
    // Another process may have the store locked just now. The link is made before the pages are served.
    let (daemon, first_link) = loop {
        match Daemon::prepare(&session, opened.store.clone(), bind, &cancel).await {
            Ok(prepared) => break prepared,
            Err(failure) => frontend = frontend.report(failure, &cancel),
        }
        if startup::pause(&cancel).await.is_none() {
            return Ok(0);
        }
    };
    let server = frontend.serve_pages(daemon.app.clone(), &cancel);
    tracing::info!("listening on http://{}", daemon.app.live.config().bind);
    announce_first_link(opened.store.directory(), first_link.as_deref())?;
    // Clears the systemd status that the opening of the store may have set.
    notify(&[NotifyState::Ready, NotifyState::Status("")]);
    let ticker = async {
        let mut next = Instant::now();
        loop {
            let is_off = daemon.tick().await;
            next = daemon.next_tick_after(next);
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = sleep_until(next) => break,
                    () = daemon.wait_until_switched_on(), if is_off => {
                        next = Instant::now();
                        break;
                    }
                    Some(()) = reloads.recv() => {
                        reload(&mut session, &daemon.app, logging);
                        startup::report_wrong_key(&daemon.app).await;
                    }
                }
            }
        }
    };
    // The futures of the large loops are boxed: together they would overflow a small stack.
    let loops = async {
        tokio::join!(
            ticker,
            Box::pin(daemon.export_outbox()),
            Box::pin(cancel.run_until_cancelled(daemon.check_ow())),
            Box::pin(cancel.run_until_cancelled(daemon.check_jhe())),
            Box::pin(cancel.run_until_cancelled(daemon.check_bucket())),
            daemon.make_backups(),
            daemon.write_last_use(),
            daemon.count_repeated_events(),
            Box::pin(cancel.run_until_cancelled(daemon.probe_store())),
            Box::pin(cancel.run_until_cancelled(daemon.send_alerts())),
            Box::pin(cancel.run_until_cancelled(daemon.send_mails())),
            Box::pin(daemon.queue_reminders()),
            Box::pin(daemon.follow_hints()),
            Box::pin(daemon.read_historical_data()),
            crate::web::metrics::serve_metrics(daemon.app.clone()),
            watchdog::feed(&daemon.app, &cancel)
        );
    };
    Box::pin(daemon.run_until_stopped(loops, server)).await;
    Ok(0)
}

/// The shared state, and the token that ends all loops.
pub(crate) struct Daemon {
    pub(crate) app: App,
    pub(crate) cancel: CancellationToken,
}

impl Daemon {
    pub(crate) async fn new(
        session: &Session,
        store: Store,
        cancel: CancellationToken,
        simulated: bool,
    ) -> Result<Self, Failure> {
        Ok(Self { app: App::new(session, store, cancel.clone(), simulated).await?, cancel })
    }

    /// Returns the daemon, and the link that signs the first operator in if nobody can sign in yet.
    async fn prepare(
        session: &Session,
        store: Store,
        bind: SocketAddr,
        cancel: &CancellationToken,
    ) -> Result<(Self, Option<String>), Failure> {
        let daemon = Self::new(session, store, cancel.clone(), false).await?;
        daemon.app.live.set_bind(bind);
        startup::report_wrong_key(&daemon.app).await;
        let link = sign_in_link::first_operator_url(&daemon.app).await?;
        Ok((daemon, link))
    }

    pub(crate) fn start_server(&self, listener: TcpListener) -> Result<JoinHandle<()>, Failure> {
        self.app.live.set_bind(local_address(&listener)?);
        Ok(Frontend::Listening(listener).serve_pages(self.app.clone(), &self.cancel))
    }

    /// Runs one tick, and logs and records its result. Returns true if polling is switched off.
    pub(crate) async fn tick(&self) -> bool {
        let poller = self.app.poller();
        let (progress, began) = (Arc::new(PollProgress::default()), Instant::now());
        self.app.ticker.begin(&progress, self.app.clock.now());
        let outcome = poller.poll(&PollRequest::default(), &progress).await;
        drop(progress);
        let took = began.elapsed();
        metrics::record_tick(tick_outcome(&outcome, self.cancel.is_cancelled()), took);
        let is_off = matches!(outcome, Ok(PollOutcome::Skipped(_)));
        let is_held = matches!(outcome, Ok(PollOutcome::Held(_)));
        let result = match outcome {
            Ok(PollOutcome::Skipped(sentence) | PollOutcome::Held(sentence)) => {
                tracing::info!("{sentence}");
                Ok(sentence)
            }
            Ok(PollOutcome::Complete(summary)) => {
                self.app.bucket_status.record_turns(&summary);
                log_summary(&summary, took);
                Ok(match summary.failed.len() {
                    0 => summary.sentence(),
                    failed => format!("{} {} in error.", summary.sentence(), counted(failed, "patient")),
                })
            }
            Err(_) if self.cancel.is_cancelled() => Ok("the tick was stopped".to_owned()),
            Err(failure) => {
                tracing::error!(next = failure.remedy, "{}", failure.message);
                Err(failure.to_string())
            }
        };
        let settings = poller.store.settings().await.unwrap_or_default();
        let (now, interval) = (poller.clock.now(), settings.poll_interval());
        match result {
            Ok(sentence) if is_held => self.app.ticker.skip(now, sentence, interval),
            result => self.app.ticker.end(now, result, interval),
        }
        connect_device::retry_disconnects(&self.app).await;
        connect_device::complete_parts(&self.app).await;
        is_off
    }

    /// Waits until `module.ow` is on, so that an operator who turns it on sees a tick at once.
    async fn wait_until_switched_on(&self) {
        loop {
            sleep(SWITCH_CHECK).await;
            if self.app.store.settings().await.is_ok_and(|settings| settings.is_on()) {
                return;
            }
        }
    }

    /// Returns the start of the tick after the one that was due at `due`. Missed ticks are not made up.
    pub(crate) fn next_tick_after(&self, due: Instant) -> Instant {
        let interval = self.app.ticker.state().interval;
        let next = due + interval;
        if next < Instant::now() { Instant::now() + interval } else { next }
    }

    /// Runs the loops and the server until a signal, and then gives them [`SHUTDOWN_TIME`] to finish.
    pub(crate) async fn run_until_stopped(&self, loops: impl Future<Output = ()>, server: JoinHandle<()>) {
        let stopping = async {
            self.cancel.cancelled().await;
            notify(&[NotifyState::Stopping]);
        };
        let deadline = async {
            self.cancel.cancelled().await;
            sleep(SHUTDOWN_TIME).await;
        };
        tokio::select! {
            _ = async { tokio::join!(loops, server, stopping) } => tracing::info!("stopped"),
            () = deadline => tracing::warn!("stopped before the tick could end; what was committed stays"),
        }
        self.write_repeated_events().await;
    }
}

fn log_summary(summary: &PollSummary, took: Duration) {
    for (patient, error) in &summary.failed {
        tracing::warn!(%patient, "{error}");
    }
    for patient in &summary.unfinished {
        tracing::info!(%patient, "{}", PollSummary::UNFINISHED);
    }
    let counts = summary.counts;
    tracing::info!(
        patients = summary.patients.len(),
        failed = summary.failed.len(),
        created = counts.created,
        revised = counts.revised,
        unchanged = counts.unchanged,
        rejected = counts.rejected,
        withheld = counts.withheld,
        millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "{}",
        summary.sentence()
    );
}

fn tick_outcome(outcome: &Result<PollOutcome, Failure>, is_stopping: bool) -> TickOutcome {
    match outcome {
        Ok(PollOutcome::Skipped(_) | PollOutcome::Held(_)) => TickOutcome::Skipped,
        Ok(PollOutcome::Complete(summary)) if summary.failed.is_empty() => TickOutcome::Complete,
        Ok(PollOutcome::Complete(_)) => TickOutcome::Partial,
        Err(_) if is_stopping => TickOutcome::Stopped,
        Err(_) => TickOutcome::Failed,
    }
}

pub(crate) async fn listen(bind: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(bind).await.map_err(|error| {
        Failure::failed(
            format!("cannot listen on {bind}: {error}"),
            "stop the program that uses this port, or choose another with --bind or JHE_OW_BIND",
        )
    })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::failed(error.to_string(), "try again"))
}

/// Loads the configuration again. The addresses and the data directory stay until the next start.
fn reload(session: &mut Session, app: &App, logging: &Logging) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("no monotonic time for systemd: {error}"),
    }
    let loaded = Environment::from_process().and_then(|environment| load::load(&session.flags, &environment));
    let applied = loaded.and_then(|config| {
        app.live.replace(config.clone())?;
        logging.reload(&config)?;
        Ok(config)
    });
    match applied {
        Ok(config) => {
            let old = (session.config.bind, session.config.metrics_bind, &session.config.data_dir);
            if old != (config.bind, config.metrics_bind, &config.data_dir) {
                tracing::warn!("the addresses and the data directory take effect only after a restart");
            }
            app.offer_cache.clear();
            app.open_authorizations.clear();
            app.ow_status.request_check();
            session.config = config;
            tracing::info!("configuration reloaded");
        }
        Err(failure) => tracing::error!(next = failure.remedy, "not reloaded: {}", failure.message),
    }
    notify(&[NotifyState::Ready]);
}
