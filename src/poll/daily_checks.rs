//! The daily checks of a patient: OW still knows the user, OW fetches late data from the provider, the store has as
//! many samples as OW counts, and the samples agree with the time zone.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::{catalog::endpoint, consent_intervals::Interval};
use crate::ow::{connection::ProviderConnection, error::OwError};
use crate::poll::sweep_schedule;
use crate::poll::{patient_turn::Turn, poller::TickContext, turn_error::TurnError, windows::ReadRange};
use crate::store::operations::patient_status;
use crate::store::operations::poll_plan::{self, PatientPlan, SeriesPlan};
use crate::store::{error::StoreError, people::device_connection, samples::sample_offsets};

/// Days that OW fetches again from the provider each day. Rings hardly ever sync later than that.
const HISTORICAL_DAYS: u32 = 2;
/// Maximum age of the device status of a patient without new data. OW pulls from the providers each hour.
const DEVICES_AGE: Duration = Duration::from_hours(1);
/// Full days whose counts are compared with OW's.
const COMPARED: Duration = Duration::from_hours(7 * 24);

impl TickContext {
    /// Checks that OW still knows the user, and requests late data from the provider. Returns false if OW
    /// refused the request: then the check is still due.
    pub(crate) async fn check_user(&self, plan: &PatientPlan) -> Result<bool, TurnError> {
        self.client.check_user(&plan.ow_user).await?;
        if !self.historical_sync {
            return Ok(true);
        }
        match self.request_historical_sync(plan).await {
            Ok(()) => Ok(true),
            Err(OwError::Unauthorized) => Err(OwError::Unauthorized.into()),
            Err(error) => {
                tracing::warn!(patient = %plan.patient, "OW could not be asked to fetch late data: {error}");
                Ok(false)
            }
        }
    }

    async fn request_historical_sync(&self, plan: &PatientPlan) -> Result<(), OwError> {
        let connections = self.client.list_connections(&plan.ow_user).await?;
        self.record_devices(plan, &connections).await;
        for connection in connections.iter().filter(|connection| connection.is_pulled()) {
            self.client.request_historical_sync(&connection.provider, &plan.ow_user, HISTORICAL_DAYS).await?;
        }
        Ok(())
    }

    /// Refreshes the device status of a patient without new data, so that the pages can say why there are
    /// none.
    pub(crate) async fn refresh_device_status(&self, plan: &PatientPlan) {
        let is_recent = |at: Timestamp| at.plus(DEVICES_AGE) > self.started;
        if plan.newest.is_none_or(is_recent) || plan.connections_checked.is_some_and(is_recent) {
            return;
        }
        match self.client.list_connections(&plan.ow_user).await {
            Ok(connections) => self.record_devices(plan, &connections).await,
            Err(error) => {
                tracing::debug!(patient = %plan.patient, "OW could not be asked about the devices: {error}");
            }
        }
    }

    /// Records the connected devices; a patient may have disconnected one at the provider. Failures are
    /// logged only.
    async fn record_devices(&self, plan: &PatientPlan, connections: &[ProviderConnection]) {
        let active = connections.iter().filter(|connection| connection.is_active());
        let providers: Vec<String> = active.map(|connection| connection.provider.clone()).collect();
        let pulled = connections.iter().filter(|connection| connection.is_pulled());
        let pulled = pulled.filter_map(ProviderConnection::last_synced).max();
        let (patient, now) = (plan.patient, self.started);
        let record = self.write(move |db| {
            patient_status::record_provider_pull(db, patient, pulled, now)?;
            device_connection::record_active(db, patient, &providers, now)
        });
        if let Err(error) = record.await {
            tracing::warn!(%patient, "its devices could not be recorded: {error}");
        }
    }

    /// Compares the local offsets of the stored samples with the patient's time zone. Failures are logged only.
    pub(crate) async fn check_time_zone(&self, plan: &PatientPlan) {
        let (patient, now) = (plan.patient, self.started);
        if let Err(error) = self.write(move |db| sample_offsets::check(db, patient, now)).await {
            tracing::warn!(%patient, "the time zone could not be compared with the samples: {error}");
        }
    }

    /// Compares the last full days with OW's counts. If more samples are missing than at the last comparison,
    /// reads five weeks again at once. Records how many are still missing then: rejected samples stay
    /// missing.
    pub(crate) async fn reconcile(&self, plan: &PatientPlan, turn: &mut Turn) {
        let compared = async {
            let missing = self.count_missing(plan).await?;
            if missing <= plan.missing {
                return Ok(missing);
            }
            let first = plan.first_window(self.first_window, self.started);
            let range = ReadRange::Recent { at_least: Some(sweep_schedule::WIDE), first };
            let again = self.read_range(plan, range).await;
            turn.counts += again.counts;
            turn.unread_objects.extend(again.unread_objects);
            turn.is_unfinished = again.is_unfinished;
            match again.error {
                Some(error) => Err(error),
                None => self.count_missing(plan).await,
            }
        };
        let compared = compared.await;
        match compared {
            // The next turn may still find the missing samples.
            Ok(_) if turn.is_unfinished => {}
            Ok(missing) => {
                let patient = plan.patient;
                let record = self.write(move |db| patient_status::record_missing(db, patient, missing));
                turn.error = record.await.err().map(TurnError::from);
            }
            Err(error) if error.ends_tick() => turn.error = Some(error),
            Err(error) => {
                tracing::warn!(patient = %plan.patient, "the daily comparison with OW failed: {error}");
            }
        }
    }

    /// Returns how many more samples OW counts than the store, in the last full days since the link was made.
    async fn count_missing(&self, plan: &PatientPlan) -> Result<i64, TurnError> {
        let today = self.started.midnight();
        let range = Interval { from: today.minus(COMPARED).max(plan.linked.next_midnight()), until: today };
        if range.from >= range.until {
            return Ok(0);
        }
        // OW counts samples of all days, so only types with consent to the whole range compare; it counts no
        // events.
        let is_compared = |wanted: &&SeriesPlan| {
            wanted.allowed.cut(range).eq([range]) && !wanted.series.timeseries_types().is_empty()
        };
        let series: Vec<_> = plan.series.iter().filter(is_compared).map(|wanted| wanted.series).collect();
        if series.is_empty() {
            return Ok(0);
        }
        let ow_counts = self.client.count_samples(&plan.ow_user, range).await?;
        let (patient, mode) = (plan.patient, self.mode);
        let count = move |db: &_| {
            let missing = series.iter().map(|series| {
                let endpoints = endpoint::list_for_series(series.series_type);
                let providers: BTreeSet<&str> = endpoints.map(|endpoint| endpoint.provider).collect();
                let ow_count = |name: &&str| match mode {
                    IngestMode::Normalized => ow_counts.total(name),
                    // Payloads of other providers are not ingested.
                    IngestMode::Raw => {
                        providers.iter().map(|provider| ow_counts.from_provider(provider, name)).sum()
                    }
                };
                // An observation made of several types, such as a blood pressure, needs a sample of each.
                let Some(expected) = series.timeseries_types().iter().map(ow_count).min() else {
                    return Ok(0);
                };
                let Interval { from, until } = range;
                let system = mode.system();
                let stored =
                    poll_plan::count_observations(db, patient, system, series.series_type, from, until)?;
                Ok(if series.is_restamped() { 0 } else { (expected - stored).max(0) })
            });
            missing.sum::<Result<i64, StoreError>>()
        };
        Ok(self.poller.store.read(count).await?)
    }
}
