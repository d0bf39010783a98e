//! `jhe-ow serve`: the ticker and the HTTP server, until a signal.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alerts::dispatch::Round;
use crate::alerts::store_outage::Outage;
use crate::alerts::suspend_detector::Awake;
use crate::app::backup_status::{BackupState, Backups};
use crate::app::bucket_status::Payloads;
use crate::app::daemon_status::{Exports, Ticks};
use crate::app::device_offers::Offers;
use crate::app::hint_queue::Hints;
use crate::app::page_view_log::Looks;
use crate::app::patient_token_locks::PatientTokens;
use crate::app::poll_jobs::Jobs;
use crate::app::rate_limit::Limits;
use crate::app::session::Session;
use crate::app::state::{App, Live};
use crate::app::webhook_warnings::Warned;
use crate::app::{backup_rotation, bucket_health, connect_device, first_sign_in};
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::config::environment::Environment;
use crate::config::load;
use crate::consent::refresh;
use crate::daemon::startup::Front;
use crate::daemon::systemd::notify;
use crate::daemon::{signals, startup, watchdog};
use crate::export::exporter;
use crate::export::exporter::Exporter;
use crate::jhe::client::Jhe;
use crate::ow::client::PageSize;
use crate::poll::poller::Ask;
use crate::poll::progress::Progress;
use crate::poll::tick::{Outcome, Summary};
use crate::store::engine::store::Store;
use crate::store::operations::patient_status;
use crate::telemetry::logging::Logging;
use crate::telemetry::metrics;
use crate::telemetry::metrics::TickOutcome;

/// How long the outbox waits at most until it is looked at again.
const EXPORT_AT_LEAST: Duration = Duration::from_secs(30);
/// How often it is looked whether JHE is set up, and how soon again where it is not: somebody is about to mend it.
const EXAMINE_EVERY: Duration = Duration::from_hours(1);
const EXAMINE_AGAIN: Duration = Duration::from_mins(5);
/// How often it is looked whether a backup is due, and how soon one that failed is tried again.
const BACKUP_LOOK: Duration = Duration::from_mins(1);
const BACKUP_AGAIN: Duration = Duration::from_mins(10);
/// How often it is looked whether the polls have been switched on.
const SWITCH_LOOK: Duration = Duration::from_secs(2);
/// How often it is looked who is silent, and what is still to be told, besides after each tick.
const ALERT_LOOK: Duration = Duration::from_secs(30);
/// Time for the end: systemd and people expect a daemon to be gone in some seconds. What is not finished
/// by then is rolled back, which is safe.
const GRACE: Duration = Duration::from_millis(4500);

pub(crate) async fn run(session: Session, logging: &Logging) -> Result<u8, Failure> {
    let listener = listen(session.config.bind).await?;
    let bind = bound(&listener)?;
    let cancel = CancellationToken::new();
    let mut reloads = signals::cancel_and_reload(&cancel)?;
    let Some((opened, front)) = startup::open(&session, listener, &cancel).await? else {
        return Ok(0);
    };
    let daemon = Daemon::new(&session, opened.store, cancel.clone(), false).await?;
    daemon.app.live.set_bind(bind);
    let server = front.admit(daemon.app.clone(), &cancel);
    tracing::info!("listening on http://{}", daemon.app.live.config().bind);
    if let Some(link) = first_sign_in::first_sign_in(&daemon.app).await? {
        // To the terminal and not to the log, which is kept and passed around.
        say(format_args!(
            "Nobody can sign in yet. This address signs the first operator in, once:\n\n    {link}\n"
        ))?;
    }
    // Without the reason for which it may have waited.
    notify(&[NotifyState::Ready, NotifyState::Status("")]);
    let mut session = session;
    let ticker = async {
        let mut next = Instant::now();
        loop {
            let is_off = daemon.tick().await;
            next = daemon.after(next);
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep_until(next) => break,
                    () = daemon.switched_on(), if is_off => {
                        next = Instant::now();
                        break;
                    }
                    Some(()) = reloads.recv() => reload(&mut session, &daemon.app, logging),
                }
            }
        }
    };
    let work = async {
        let watch = async {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = daemon.watch_jhe() => {}
            }
        };
        tokio::join!(
            ticker,
            Box::pin(daemon.export()),
            Box::pin(watch),
            Box::pin(daemon.watch_bucket()),
            daemon.back_up(),
            Box::pin(daemon.alert()),
            Box::pin(daemon.follow_hints()),
            Box::pin(daemon.read_owed()),
            crate::web::metrics::serve_metrics(daemon.app.clone()),
            watchdog::feed(&daemon.app, &cancel)
        );
    };
    Box::pin(daemon.finish(work, server)).await;
    Ok(0)
}

/// A store, a ticker and a server that belong together.
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
        let settings = store.settings().await?;
        let (clock, config) = (session.clock.clone(), session.config.clone());
        let app = App {
            unsigned: Warned::default(),
            store,
            ticks: Ticks::new(clock.now(), settings.poll_interval()),
            clock,
            live: Live::new(config)?,
            exports: Exports::default(),
            backups: Backups::default(),
            jobs: Jobs::default(),
            payloads: Payloads::default(),
            offers: Offers::default(),
            tokens: PatientTokens::default(),
            hints: Hints::default(),
            limits: Limits::default(),
            looks: Looks::default(),
            cancel: cancel.clone(),
            page_size: PageSize::default(),
            simulated,
        };
        Ok(Self { app, cancel })
    }

    /// Starts the server.
    pub(crate) fn start(&self, listener: TcpListener) -> Result<tokio::task::JoinHandle<()>, Failure> {
        self.app.live.set_bind(bound(&listener)?);
        Ok(Front::Listening(listener).admit(self.app.clone(), &self.cancel))
    }

    /// Runs one tick and says how it ended, once, here; answers whether the polls are switched off.
    pub(crate) async fn tick(&self) -> bool {
        let poller = self.app.poller();
        let (progress, began) = (Arc::new(Progress::default()), Instant::now());
        self.app.ticks.begin(&progress, self.app.clock.now());
        let outcome = poller.poll(&Ask::default(), &progress).await;
        drop(progress);
        let took = began.elapsed();
        metrics::tick_ended(tick_outcome(&outcome, self.cancel.is_cancelled()), took);
        let (mut is_held, mut is_off) = (false, false);
        let sentence = match outcome {
            Ok(Outcome::Skipped(sentence)) => {
                tracing::info!("{sentence}");
                is_off = true;
                Ok(sentence)
            }
            Ok(Outcome::Held(sentence)) => {
                tracing::info!("{sentence}");
                is_held = true;
                Ok(sentence)
            }
            Ok(Outcome::Complete(summary)) => {
                for (patient, error) in &summary.failed {
                    tracing::warn!(%patient, "{error}");
                }
                for patient in &summary.unfinished {
                    tracing::info!(%patient, "{}", Summary::UNFINISHED);
                }
                self.app.payloads.note_turns(&summary);
                let tally = summary.tally;
                tracing::info!(
                    patients = summary.patients.len(),
                    failed = summary.failed.len(),
                    created = tally.created,
                    revised = tally.revised,
                    unchanged = tally.unchanged,
                    rejected = tally.rejected,
                    withheld = tally.withheld,
                    millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    "{}",
                    summary.sentence()
                );
                Ok(match summary.failed.len() {
                    0 => summary.sentence(),
                    1 => format!("{} 1 patient in error.", summary.sentence()),
                    failed => format!("{} {failed} patients in error.", summary.sentence()),
                })
            }
            Err(_) if self.cancel.is_cancelled() => Ok("the tick was stopped".to_owned()),
            Err(failure) => {
                tracing::error!(next = failure.next, "{}", failure.what);
                Err(failure.to_string())
            }
        };
        let settings = poller.store.settings().await.unwrap_or_default();
        let (now, interval) = (poller.clock.now(), settings.poll_interval());
        match sentence {
            Ok(sentence) if is_held => self.app.ticks.note_skipped(now, sentence, interval),
            sentence => self.app.ticks.note(now, sentence, interval),
        }
        connect_device::finish(&self.app).await;
        is_off
    }

    /// Waits until the polls are switched on: whoever does that does not wait for the next tick to see them work.
    async fn switched_on(&self) {
        loop {
            tokio::time::sleep(SWITCH_LOOK).await;
            if self.app.store.settings().await.is_ok_and(|settings| settings.is_on()) {
                return;
            }
        }
    }

    /// Lets the outbox drain for as long as the daemon runs: after each tick, and when something is due again.
    /// Neither waits for the other.
    async fn export(&self) {
        while !self.cancel.is_cancelled() {
            if let Some(jhe) = self.app.live.jhe() {
                self.drain(jhe).await;
            }
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.ticks.ended() => {}
                () = tokio::time::sleep(EXPORT_AT_LEAST) => {}
            }
        }
    }

    /// Looks after JHE beside ticks and export, for as long as the daemon runs.
    async fn watch_jhe(&self) {
        while !self.cancel.is_cancelled() {
            let again = match self.app.live.jhe() {
                Some(jhe) => self.examine(&jhe).await,
                None => EXAMINE_AGAIN,
            };
            tokio::time::sleep(again).await;
        }
    }

    /// Tells what JHE lacks for us, each thing once, and keeps up with patients whom no tick asks about; answers when
    /// to look again.
    async fn examine(&self, jhe: &Jhe) -> Duration {
        let settings = self.app.store.settings().await.unwrap_or_default();
        let missing = jhe.examine(&self.app.live.config().public_base(), &settings.naming()).await;
        for one in self.app.exports.note_missing(&missing) {
            tracing::warn!("{one}");
        }
        if let Err(error) = refresh::refresh_unlinked(jhe, &self.app.store, &self.app.clock).await {
            tracing::warn!("patients without a link could not be read anew: {error}");
        }
        if missing.is_empty() { EXAMINE_EVERY } else { EXAMINE_AGAIN }
    }

    /// Looks after the bucket of payloads for as long as the daemon runs: at the start, hourly, and soon again where
    /// it cannot be read or the mode has changed.
    async fn watch_bucket(&self) {
        while !self.cancel.is_cancelled() {
            let is_due = self.app.payloads.last().is_none_or(|last| {
                last.trouble.is_some() || last.at.plus(EXAMINE_EVERY) <= self.app.clock.now()
            });
            let look = async {
                if is_due {
                    bucket_health::examine(&self.app).await;
                }
                tokio::time::sleep(EXAMINE_AGAIN).await;
            };
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = look => {}
            }
        }
    }

    /// Makes backups for as long as the daemon runs, where the settings say so.
    async fn back_up(&self) {
        while !self.cancel.is_cancelled() {
            let again = self.back_up_if_due().await;
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Tells of silences and troubles for as long as the daemon runs: after each tick, and when something is to be tried
    /// again.
    async fn alert(&self) {
        let mut outage = Outage::default();
        let mut awake = Awake::new(self.app.clock.now(), std::time::Instant::now());
        while !self.cancel.is_cancelled() {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = self.app.ticks.ended() => {}
                () = tokio::time::sleep(ALERT_LOOK) => {}
            }
            let (store, clock, config) = (&self.app.store, &self.app.clock, self.app.live.config());
            let awake_since = awake.look(clock.now(), std::time::Instant::now());
            let tick_began = self.app.ticks.get().began;
            let round = Round { store, clock, config: &config, awake_since, tick_began };
            let work = async {
                if let Err(error) = round.run().await {
                    tracing::warn!("what is to be told could not be noted: {error}");
                }
                let trouble =
                    store.write(patient_status::prove_writable).await.err().map(|error| error.to_string());
                if let (Some(trouble), false) = (&trouble, outage.goes_on()) {
                    tracing::error!("nothing can be kept: {trouble}");
                }
                outage.look(&config, trouble.as_deref(), clock.now()).await;
            };
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = work => {}
            }
        }
    }

    async fn back_up_if_due(&self) -> Duration {
        let Ok(settings) = self.app.store.settings().await else {
            return BACKUP_AGAIN;
        };
        let data = self.app.store.directory().to_owned();
        let (now, cancel) = (self.app.clock.now(), self.cancel.clone());
        let work = move || {
            let newest = backup_rotation::newest(&backup_rotation::directory(&settings, &data), now);
            let is_due = |interval| newest.is_none_or(|newest| newest.plus(interval) <= now);
            let is_due = settings.backup_interval().is_some_and(is_due);
            (newest, is_due.then(|| backup_rotation::make(&settings, &data, now, &cancel)))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((newest, None)) => self.app.backups.note(BackupState { newest, trouble: None }),
            Ok((_, Some(Ok(made)))) => {
                let (file, bytes) = (made.path.display(), made.bytes);
                tracing::info!(bytes, observations = made.contents.observations, "backed up to {file}");
                self.app.backups.note(BackupState { newest: Some(now), trouble: None });
            }
            Ok((_, Some(Err(_)))) if self.cancel.is_cancelled() => {}
            Ok((newest, Some(Err(failure)))) => {
                tracing::error!(next = failure.next, "{}", failure.what);
                self.app.backups.note(BackupState { newest, trouble: Some(failure.to_string()) });
                return BACKUP_AGAIN;
            }
            Err(error) => tracing::error!("the backup broke off: {error}"),
        }
        BACKUP_LOOK
    }

    async fn drain(&self, jhe: Arc<Jhe>) {
        let (store, clock) = (self.app.store.clone(), self.app.clock.clone());
        let exporter = Exporter { store, clock, jhe, cancel: self.cancel.clone() };
        let is_well = self.app.exports.last().is_some_and(|last| last.trouble.is_none());
        if is_well && exporter.has_work().await == Ok(false) {
            // At the start, and after trouble, JHE is asked all the same: a wrong key is told at once.
            return;
        }
        match Box::pin(exporter.drain(None, &exporter::Progress::default())).await {
            Ok(Some(report)) => {
                for (patient, error) in &report.unread {
                    tracing::warn!(%patient, "nothing was sent, as the consents could not be read: {error}");
                }
                if let Some(error) = &report.stopped {
                    tracing::warn!("the export stopped early: {error}");
                }
                if !report.is_empty() {
                    tracing::info!("{}", report.sentence());
                }
                metrics::exported(
                    report.delivered,
                    report.consent + report.configuration,
                    report.dead,
                    report.again,
                );
                self.app.exports.note(&report, self.app.clock.now());
            }
            Ok(None) => tracing::debug!("another process is exporting"),
            Err(failure) => tracing::error!(next = failure.next, "{}", failure.what),
        }
    }

    /// When the tick after the one that was due at `due` is due. Ticks that were missed are not made up.
    pub(crate) fn after(&self, due: Instant) -> Instant {
        let interval = self.app.ticks.get().interval;
        let next = due + interval;
        if next < Instant::now() { Instant::now() + interval } else { next }
    }

    /// Waits for a signal, and then for both parts to finish what they have in hand.
    pub(crate) async fn finish(&self, ticker: impl Future<Output = ()>, server: tokio::task::JoinHandle<()>) {
        let stopping = async {
            self.cancel.cancelled().await;
            notify(&[NotifyState::Stopping]);
        };
        let deadline = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            _ = async { tokio::join!(ticker, server, stopping) } => tracing::info!("stopped"),
            () = deadline => tracing::warn!("stopped before the tick could end; what was committed stays"),
        }
    }
}

/// What the metrics call how a tick ended.
fn tick_outcome(outcome: &Result<Outcome, Failure>, is_stopping: bool) -> TickOutcome {
    match outcome {
        Ok(Outcome::Skipped(_) | Outcome::Held(_)) => TickOutcome::Skipped,
        Ok(Outcome::Complete(summary)) if summary.failed.is_empty() => TickOutcome::Complete,
        Ok(Outcome::Complete(_)) => TickOutcome::Partial,
        Err(_) if is_stopping => TickOutcome::Stopped,
        Err(_) => TickOutcome::Failed,
    }
}

pub(crate) async fn listen(bind: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(bind).await.map_err(|error| {
        Failure::failed(
            format!("{bind} cannot be listened on: {error}"),
            "end the program that has it, or choose another with --bind or JHE_OW_BIND",
        )
    })
}

/// The address that is really listened on.
fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::failed(error.to_string(), "try again"))
}

/// Reads the configuration again. What the process has begun with (address, data directory) stays.
fn reload(session: &mut Session, app: &App, logging: &Logging) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("no monotonic time for systemd: {error}"),
    }
    let loaded = Environment::from_process().and_then(|environment| load::load(&session.flags, &environment));
    let taken = loaded.and_then(|config| {
        app.live.set(config.clone())?;
        logging.reload(&config)?;
        Ok(config)
    });
    match taken {
        Ok(config) => {
            let old = (session.config.bind, session.config.metrics_bind, &session.config.data_dir);
            if old != (config.bind, config.metrics_bind, &config.data_dir) {
                tracing::warn!("the addresses and the data directory change with the next start only");
            }
            app.offers.forget();
            session.config = config;
            tracing::info!("configuration reloaded");
        }
        Err(failure) => tracing::error!(next = failure.next, "not reloaded: {}", failure.what),
    }
    notify(&[NotifyState::Ready]);
}
