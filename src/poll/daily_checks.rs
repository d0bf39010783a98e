//! Once a day per patient: whether OW still knows the user, whether it missed what synced late, and
//! whether it counts more samples than are kept here.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::catalog::endpoint;
use crate::model::consent_intervals::Interval;
use crate::ow::connection::Connection;
use crate::ow::error::OwError;
use crate::poll::patient_turn::Turn;
use crate::poll::poller::Context;
use crate::poll::progress::Progress;
use crate::poll::sweep_schedule;
use crate::poll::turn_error::TurnError;
use crate::poll::windows::Reach;
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::Due;
use crate::store::operations::{patient_status, poll_plan};
use crate::store::people::device_connection;

/// How many days OW is asked daily to fetch again: what a ring synced late is hardly ever older.
const HISTORICAL_DAYS: u32 = 2;
/// How old what OW said of a silent patient's connections may be. OW pulls each hour.
const DEVICES_AGE: Duration = Duration::from_hours(1);
/// Full days whose counts are compared with OW's.
const COMPARED: Duration = Duration::from_hours(7 * 24);

impl Context {
    /// Once a day: does OW still know the user, and has it missed what synced late? Answers whether all of
    /// it could be asked.
    pub(crate) async fn check(&self, due: &Due) -> Result<bool, TurnError> {
        self.client.require_user(&due.ow_user).await?;
        if !self.historical_sync {
            return Ok(true);
        }
        match self.ask_for_late_data(due).await {
            Ok(()) => Ok(true),
            Err(OwError::Unauthorized) => Err(OwError::Unauthorized.into()),
            Err(error) => {
                tracing::warn!(patient = %due.patient, "OW could not be asked to fetch late data: {error}");
                Ok(false)
            }
        }
    }

    async fn ask_for_late_data(&self, due: &Due) -> Result<(), OwError> {
        let connections = self.client.connections(&due.ow_user).await?;
        self.note_devices(due, &connections).await;
        for connection in connections.iter().filter(|connection| connection.is_pulled()) {
            self.client.historical_sync(&connection.provider, &due.ow_user, HISTORICAL_DAYS).await?;
        }
        Ok(())
    }

    /// Asks OW how the connections of a patient stand of whom nothing comes in: often enough to tell why, and no more.
    /// That it cannot be asked stops nothing.
    pub(crate) async fn look_at_devices(&self, due: &Due) {
        let recent = |at: Timestamp| at.plus(DEVICES_AGE) > self.started;
        if due.newest.is_none_or(recent) || due.devices.is_some_and(recent) {
            return;
        }
        match self.client.connections(&due.ow_user).await {
            Ok(connections) => self.note_devices(due, &connections).await,
            Err(error) => {
                tracing::debug!(patient = %due.patient, "OW could not be asked about the devices: {error}");
            }
        }
    }

    /// Whoever disconnects at the provider is seen here. That it cannot be noted stops nothing.
    async fn note_devices(&self, due: &Due, connections: &[Connection]) {
        let active = connections.iter().filter(|connection| connection.is_active());
        let providers: Vec<String> = active.map(|connection| connection.provider.clone()).collect();
        let pulled = connections.iter().filter(|connection| connection.is_pulled());
        let pulled = pulled.filter_map(Connection::last_synced).max();
        let (patient, now) = (due.patient, self.started);
        let note = self.write(move |db| {
            patient_status::note_pulled(db, patient, pulled, now)?;
            device_connection::note_active(db, patient, &providers, now)
        });
        if let Err(error) = note.await {
            tracing::warn!(%patient, "its devices could not be noted: {error}");
        }
    }

    /// Compares the last full days with OW's own count; where OW has more, and more than when that was last
    /// compared, reads five weeks again at once. Notes what is still missing after that: a sample that had to
    /// be rejected stays so.
    pub(crate) async fn reconcile(&self, due: &Due, turn: &mut Turn, progress: &Progress) {
        let compared = async {
            let missing = self.missing(due).await?;
            if missing <= due.missing {
                return Ok(missing);
            }
            let reach = Reach::Recent { at_least: Some(sweep_schedule::WIDE), first: self.first };
            let again = self.read_reach(due, reach, progress).await;
            turn.tally += again.tally;
            turn.told.extend(again.told);
            turn.is_unfinished = again.is_unfinished;
            match again.error {
                Some(error) => Err(error),
                None => self.missing(due).await,
            }
        };
        let compared = compared.await;
        match compared {
            // What is still to be read may be what is missing.
            Ok(_) if turn.is_unfinished => {}
            Ok(missing) => {
                let patient = due.patient;
                let note = self.write(move |db| patient_status::note_missing(db, patient, missing));
                turn.error = note.await.err().map(TurnError::from);
            }
            Err(error) if error.ends_tick() => turn.error = Some(error),
            Err(error) => {
                tracing::warn!(patient = %due.patient, "the daily comparison with OW failed: {error}");
            }
        }
    }

    /// How many samples OW counts in the last full days since the link was made, beyond what is kept.
    async fn missing(&self, due: &Due) -> Result<i64, TurnError> {
        let today = self.started.midnight();
        let range = Interval { from: today.minus(COMPARED).max(due.linked.next_midnight()), until: today };
        if range.from >= range.until {
            return Ok(0);
        }
        let whole = |wanted: &&poll_plan::Wanted| wanted.allowed.cut(range).eq([range]);
        let series: Vec<_> = due
            .wanted
            .iter()
            .filter(whole)
            .map(|wanted| wanted.series)
            .filter(|series| !series.types().is_empty())
            .collect();
        if series.is_empty() {
            // Of events there is nothing to compare.
            return Ok(0);
        }
        let theirs = self.client.counts(&due.ow_user, range).await?;
        let mode = self.mode;
        let (patient, system) = (due.patient, self.mode.system());
        let count = move |db: &_| {
            let missing = series.iter().map(|series| {
                let endpoints = endpoint::endpoints_of(series.series_type);
                let providers: BTreeSet<&str> = endpoints.map(|endpoint| endpoint.provider).collect();
                let counted = |name: &&str| match mode {
                    IngestMode::Normalized => theirs.of_all(name),
                    // Other providers' payloads are not ingested.
                    IngestMode::Raw => {
                        providers.iter().map(|provider| theirs.of_provider(provider, name)).sum()
                    }
                };
                // Of what takes a sample of each type there can be as many as of the rarest.
                let Some(theirs) = series.types().iter().map(counted).min() else { return Ok(0) };
                let ours =
                    poll_plan::count(db, patient, system, series.series_type, range.from, range.until)?;
                Ok(if series.is_restamped() { 0 } else { (theirs - ours).max(0) })
            });
            missing.sum::<Result<i64, StoreError>>()
        };
        Ok(self.poller.store.read(count).await?)
    }
}
