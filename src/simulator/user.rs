//! A user of the simulated OW, with samples, events, connections and faults.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::samples_table::{Row, SampleSeries};
use crate::simulator::{activity_day::ActivityDay, event::Event, fault::Fault, request_log::OwRoute};

/// Microseconds and the index of the series: OW's order is time, then row id, and ids are made from the
/// index.
pub(crate) type RowKey = (i64, u32);

/// The series index of verbatim records.
const VERBATIM: u32 = u32::MAX;

/// A row without the fields that its series holds.
#[derive(Debug)]
pub(crate) enum StoredRecord {
    Sample {
        value: f64,
        zone: Option<String>,
        daily_total: Option<bool>,
        /// Only where it differs from the unit of the series.
        unit: Option<String>,
    },
    /// JSON that is served as it is.
    Verbatim(String),
}

#[derive(Debug, Default)]
pub(crate) struct SimulatedUser {
    pub(crate) external_id: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) series: Vec<SampleSeries>,
    pub(crate) records: BTreeMap<RowKey, StoredRecord>,
    /// Rows that the provider has and OW does not, until a historical sync.
    pub(crate) unsynced: Vec<Row>,
    pub(crate) events: BTreeMap<Uuid, Event>,
    /// Days that a test sets, by date; the other days are computed from samples.
    pub(crate) activity: BTreeMap<String, ActivityDay>,
    /// By route; `None` is every route.
    pub(crate) faults: BTreeMap<Option<OwRoute>, ActiveFault>,
    /// By provider.
    pub(crate) connections: BTreeMap<String, SimulatedConnection>,
}

/// A user's connection to a provider.
#[derive(Debug)]
pub(crate) struct SimulatedConnection {
    pub(crate) is_active: bool,
    pub(crate) since: Timestamp,
}

/// A fault, and the pages requested since it was set.
#[derive(Debug)]
pub(crate) struct ActiveFault {
    fault: Fault,
    pages: u32,
}

impl SimulatedUser {
    pub(crate) fn put(&mut self, row: Row) {
        let Row { at, zone, value, daily_total, series } = row;
        let known = self.series.iter().position(|known| known.has_same_key(&series));
        let unit = known.filter(|known| self.series[*known].unit != series.unit).map(|_| series.unit.clone());
        let index = known.unwrap_or_else(|| {
            self.series.push(series);
            self.series.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(VERBATIM - 1);
        self.records.insert((at.micros(), index), StoredRecord::Sample { value, zone, daily_total, unit });
    }

    /// Removes the rows of one type at one instant, of every source.
    pub(crate) fn remove_row(&mut self, series_type: &str, at: Timestamp) {
        let series = &self.series;
        self.records.retain(|(instant, index), _| {
            let series = usize::try_from(*index).ok().and_then(|index| series.get(index));
            *instant != at.micros() || series.is_none_or(|series| series.series_type != series_type)
        });
    }

    pub(crate) fn put_verbatim(&mut self, at: Timestamp, json: &str) {
        self.records.insert((at.micros(), VERBATIM), StoredRecord::Verbatim(json.to_owned()));
    }

    pub(crate) fn remove_at(&mut self, at: Timestamp) {
        self.records.retain(|(instant, _), _| *instant != at.micros());
    }

    /// Stores an event, or updates the one with the same key in place; returns its id.
    pub(crate) fn put_event(&mut self, new_id: Uuid, event: Event) -> Uuid {
        let known = self.events.iter().find(|(_, known)| known.has_same_key(&event)).map(|(id, _)| *id);
        let id = known.unwrap_or(new_id);
        self.events.insert(id, event);
        id
    }

    pub(crate) fn rename_device(&mut self, from: Option<&str>, to: Option<&str>) {
        for series in self.series.iter_mut().filter(|series| series.source.device.as_deref() == from) {
            series.source.device = to.map(str::to_owned);
        }
    }

    pub(crate) fn connect(&mut self, provider: &str, since: Timestamp) {
        self.connections.insert(provider.to_owned(), SimulatedConnection { is_active: true, since });
    }

    /// Sets or clears the fault of a route, or that of every route.
    pub(crate) fn set_fault(&mut self, route: Option<OwRoute>, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.faults.insert(route, ActiveFault { fault, pages: 0 }),
            None => self.faults.remove(&route),
        };
    }

    /// Counts a page request. Returns the fault that applies and the number of pages since it was set; the
    /// fault of the route goes before that of every route.
    pub(crate) fn next_fault(&mut self, route: OwRoute) -> Option<(Fault, u32)> {
        let key = [Some(route), None].into_iter().find(|key| self.faults.contains_key(key))?;
        let active = self.faults.get_mut(&key)?;
        active.pages += 1;
        Some((active.fault.clone(), active.pages))
    }

    pub(crate) fn heart_rates(&self) -> Vec<(Timestamp, f64)> {
        let rates = self.records.iter().filter_map(|((at, series), record)| match record {
            StoredRecord::Sample { value, .. } if self.is_type(*series, "heart_rate") => {
                Some((Timestamp::from_micros(*at), *value))
            }
            _ => None,
        });
        rates.collect()
    }

    pub(crate) fn series(&self, index: u32) -> Option<&SampleSeries> {
        self.series.get(usize::try_from(index).ok()?)
    }

    /// Compares the series type; a verbatim record counts as a heart rate.
    pub(crate) fn is_type(&self, index: u32, series_type: &str) -> bool {
        self.series(index).map_or(series_type == "heart_rate", |series| series.series_type == series_type)
    }

    /// Moves the provider's rows since `from` into OW.
    pub(crate) fn sync_history(&mut self, from: Timestamp) {
        let (synced, rest): (Vec<Row>, Vec<Row>) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|row| row.at >= from);
        self.unsynced = rest;
        for row in synced {
            self.put(row);
        }
    }
}
