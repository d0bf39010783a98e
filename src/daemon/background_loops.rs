//! The daemon's loops beside the ticker: export, checks of JHE and of the bucket, backups, and alerts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::alerts::{dispatch::Dispatcher, store_outage::StoreOutage, suspend_detector::SuspendDetector};
use crate::app::{backup_rotation, bucket_check, daemon_status::BackupState};
use crate::consent::refresh;
use crate::daemon::run::Daemon;
use crate::export::exporter::{ExportProgress, Exporter};
use crate::jhe::client::Jhe;
use crate::ow::connector::CallError;
use crate::store::outbox::outbox;
use crate::telemetry::metrics;

/// The outbox is checked this often for retries that become due between ticks.
const EXPORT_INTERVAL: Duration = Duration::from_secs(30);
/// The interval between checks of JHE and of the bucket, and the shorter one after a check that found a
/// problem: somebody is about to fix it.
const CHECK_INTERVAL: Duration = Duration::from_hours(1);
const RECHECK_INTERVAL: Duration = Duration::from_mins(5);
/// The daemon checks this often whether a backup is due, and retries a failed one after the longer time.
const BACKUP_CHECK: Duration = Duration::from_mins(1);
const BACKUP_RETRY: Duration = Duration::from_mins(10);
/// Repeated page views and the like are counted in memory for this long.
const AUDIT_INTERVAL: Duration = Duration::from_secs(10);
/// The interval between two writes that show whether the store can be written.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);
/// The interval between two rounds of alerts, besides the one after each tick.
const ALERT_INTERVAL: Duration = Duration::from_secs(30);
/// The interval at which the last uses of sessions and API tokens are stored; a crash loses those since.
const LAST_USE_INTERVAL: Duration = Duration::from_secs(10);

impl Daemon {
    /// Drains the outbox after each tick, and when a retry is due. The ticker does not wait for it.
    pub(crate) async fn export_outbox(&self) {
        // A restart is how many operators say that they have mended the configuration.
        let now = self.app.clock.now();
        let retry = move |db: &_| outbox::retry_configuration(db, None, now);
        if let Err(error) = self.app.store.write(retry).await {
            tracing::warn!("observations that wait for configuration could not be made due: {error}");
        }
        while !self.cancel.is_cancelled() {
            if let Some(jhe) = self.app.live.jhe() {
                self.drain(jhe).await;
            }
            self.wait_for_tick_or(EXPORT_INTERVAL).await;
        }
    }

    /// Waits for the end of a tick, for the given time, or for the end of the daemon.
    pub(crate) async fn wait_for_tick_or(&self, time: Duration) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = self.app.ticker.wait_for_end() => {}
            () = sleep(time) => {}
        }
    }

    async fn drain(&self, jhe: Arc<Jhe>) {
        let (store, clock) = (self.app.store.clone(), self.app.clock.clone());
        let exporter = Exporter { store, clock, jhe, cancel: self.cancel.clone() };
        // At the start and after an error, JHE is called even with an empty outbox: a wrong key shows up at
        // once.
        let was_well = self.app.export_status.last().is_some_and(|last| last.error.is_none());
        if was_well && exporter.has_work().await == Ok(false) {
            return;
        }
        match Box::pin(exporter.drain(None, &ExportProgress::default())).await {
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
                metrics::count_exported(
                    report.delivered,
                    report.consent + report.configuration,
                    report.dead,
                    report.retried,
                );
                self.app.export_status.record(&report, self.app.clock.now());
            }
            Ok(None) => tracing::debug!("another process is exporting"),
            Err(failure) => tracing::error!(next = failure.remedy, "{}", failure.message),
        }
    }

    /// Checks after each tick that OW accepts the key, so that a wrong one shows also before the first patient is
    /// linked. An OW that does not answer is no verdict on the key.
    pub(crate) async fn check_ow(&self) {
        loop {
            if let Some(ow) = self.app.live.ow() {
                let refusal = match ow.check_key().await {
                    Ok(_) => Some(None),
                    Err(CallError::Status { status: 401 | 403, detail }) => Some(Some(detail)),
                    Err(_) => None,
                };
                if let Some(refusal) = refusal
                    && self.app.ow_status.record(refusal.clone())
                    && let Some(detail) = refusal
                {
                    tracing::error!(
                        next = "make a new key in OW's admin pages, set OW_API_KEY, and restart or reload the daemon",
                        "OW refuses the key: {detail}"
                    );
                }
            }
            tokio::select! {
                () = self.app.ticker.wait_for_end() => {}
                () = sleep(CHECK_INTERVAL) => {}
                () = self.app.ow_status.wait_for_request() => {}
            }
        }
    }

    /// Checks JHE's setup, logs each new problem once, and refreshes the consents of patients without a link,
    /// whom no tick refreshes.
    pub(crate) async fn check_jhe(&self) {
        loop {
            let Some(jhe) = self.app.live.jhe() else {
                sleep(RECHECK_INTERVAL).await;
                continue;
            };
            let settings = self.app.store.settings().await.unwrap_or_default();
            let public_base = self.app.live.config().public_base();
            let missing = jhe.check_setup(&public_base, &settings.data_source_names()).await;
            for one in self.app.export_status.replace_missing(&missing) {
                tracing::warn!("{one}");
            }
            if let Err(error) = refresh::refresh_unlinked(&jhe, &self.app.store, &self.app.clock).await {
                tracing::warn!("the consents of patients without a link could not be refreshed: {error}");
            }
            sleep(if missing.is_empty() { CHECK_INTERVAL } else { RECHECK_INTERVAL }).await;
        }
    }

    /// Checks the bucket at the start, hourly, and soon again after an error or a change of the ingest mode.
    pub(crate) async fn check_bucket(&self) {
        loop {
            let is_due = self.app.bucket_status.last_check().is_none_or(|last| {
                last.error.is_some() || last.at.plus(CHECK_INTERVAL) <= self.app.clock.now()
            });
            if is_due {
                bucket_check::check_bucket(&self.app).await;
            }
            sleep(RECHECK_INTERVAL).await;
        }
    }

    /// Makes backups at the interval in the settings.
    pub(crate) async fn make_backups(&self) {
        while !self.cancel.is_cancelled() {
            let pause = self.back_up_if_due().await;
            self.cancel.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// Makes a backup if one is due. Returns the time to the next check.
    async fn back_up_if_due(&self) -> Duration {
        let Ok(settings) = self.app.store.settings().await else {
            return BACKUP_RETRY;
        };
        let data = self.app.store.directory().to_owned();
        let (now, cancel) = (self.app.clock.now(), self.cancel.clone());
        let work = move || {
            let newest = backup_rotation::find_newest(&backup_rotation::directory(&settings, &data), now);
            let is_due = |interval| newest.is_none_or(|newest| newest.plus(interval) <= now);
            let is_due = settings.backup_interval().is_some_and(is_due);
            (newest, is_due.then(|| backup_rotation::create(&settings, &data, now, &cancel)))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((newest, None)) => self.app.backup_status.record(BackupState { newest, error: None }),
            Ok((_, Some(Ok(made)))) => {
                let (file, bytes) = (made.path.display(), made.bytes);
                tracing::info!(bytes, observations = made.contents.observations, "backed up to {file}");
                self.app.backup_status.record(BackupState { newest: Some(now), error: None });
            }
            Ok((_, Some(Err(_)))) if self.cancel.is_cancelled() => {}
            Ok((newest, Some(Err(failure)))) => {
                tracing::error!(next = failure.remedy, "{}", failure.message);
                self.app.backup_status.record(BackupState { newest, error: Some(failure.to_string()) });
                return BACKUP_RETRY;
            }
            Err(error) => tracing::error!("the backup broke off: {error}"),
        }
        BACKUP_CHECK
    }

    /// Writes the last use of sessions and API tokens, also at the end.
    pub(crate) async fn write_last_use(&self) {
        loop {
            self.cancel.run_until_cancelled(sleep(LAST_USE_INTERVAL)).await;
            if let Err(error) = self.app.last_use.write(&self.app.store).await {
                tracing::warn!("the last use of sessions and API tokens could not be written: {error}");
            }
            if self.cancel.is_cancelled() {
                return;
            }
        }
    }

    /// Writes the counts of repeated audit events. The shutdown writes the last ones.
    pub(crate) async fn count_repeated_events(&self) {
        while !self.cancel.is_cancelled() {
            self.cancel.run_until_cancelled(sleep(AUDIT_INTERVAL)).await;
            self.write_repeated_events().await;
            self.app.bulk_jobs.remove_old(self.app.clock.now());
        }
    }

    pub(crate) async fn write_repeated_events(&self) {
        let now = self.app.clock.now();
        if let Err(error) = self.app.repeated_events.write(&self.app.store, now).await {
            tracing::warn!("repeated audit events could not be written: {error}");
        }
    }

    /// Tries a write every few seconds, for `/readyz`.
    pub(crate) async fn probe_store(&self) {
        loop {
            self.app.store_probe.check_unless_vacuuming(&self.app.store).await;
            sleep(PROBE_INTERVAL).await;
        }
    }

    /// Sends alerts about silent patients and other problems after each tick, and retries those that failed.
    pub(crate) async fn send_alerts(&self) {
        let mut outage = StoreOutage::default();
        let mut suspend = SuspendDetector::new(self.app.clock.now(), std::time::Instant::now());
        loop {
            self.wait_for_tick_or(ALERT_INTERVAL).await;
            let (store, clock, config) = (&self.app.store, &self.app.clock, self.app.live.config());
            let awake_since = suspend.observe(clock.now(), std::time::Instant::now());
            let tick_began = self.app.ticker.state().began;
            let dispatcher = Dispatcher { store, clock, config: &config, awake_since, tick_began };
            if let Err(error) = dispatcher.run().await {
                tracing::warn!("alerts could not be read or stored: {error}");
            }
            // An alert about a full disk cannot be stored: it goes out from memory.
            let error = self.app.store_probe.check(store).await;
            if let (Some(error), false) = (&error, outage.is_ongoing()) {
                tracing::error!("nothing can be stored: {error}");
            }
            outage.update(&config, error.as_deref(), clock.now()).await;
        }
    }
}
