use std::collections::BTreeMap;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::activity_day::ActivityDay;
use crate::simulator::event::Event;
use crate::simulator::fault::Fault;
use crate::simulator::oauth_state::Connection;
use crate::simulator::requests_seen::Route;
use crate::simulator::samples_table::{Kind, Row, VERBATIM};

/// What is served for one row.
#[derive(Debug)]
pub(crate) enum Record {
    /// `unit` only where it is not the one of its kind.
    Sample {
        value: f64,
        zone: Option<String>,
        daily_total: Option<bool>,
        unit: Option<String>,
    },
    Verbatim(String),
}

/// A user and what OW has of it.
#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) external_id: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) kinds: Vec<Kind>,
    /// By time, then by kind: OW's order is time, then row id, and ids are made from both.
    pub(crate) records: BTreeMap<(i64, u32), Record>,
    pub(crate) unsynced: Vec<Row>,
    /// Sleep and workouts, by OW's id.
    pub(crate) events: BTreeMap<Uuid, Event>,
    /// Days of activity that a test wrote, by date; the others are made of the rows.
    pub(crate) activity: BTreeMap<String, ActivityDay>,
    /// By route, or of every route.
    pub(crate) faults: BTreeMap<Option<Route>, Trouble>,
    /// By provider.
    pub(crate) connections: BTreeMap<String, Connection>,
}

/// A fault, and the pages asked for since it was set.
#[derive(Debug)]
pub(crate) struct Trouble {
    fault: Fault,
    pages: u32,
}

impl User {
    pub(crate) fn put(&mut self, row: Row) {
        let Row { at, zone, value, daily_total, kind } = row;
        let known = self.kinds.iter().position(|known| known.is_same_series(&kind));
        let unit = known.filter(|known| self.kinds[*known].unit != kind.unit).map(|_| kind.unit.clone());
        let number = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        let number = u32::try_from(number).unwrap_or(VERBATIM - 1);
        self.records.insert((at.micros(), number), Record::Sample { value, zone, daily_total, unit });
    }

    /// Removes the rows of one type at one instant, of every source.
    pub(crate) fn remove_row(&mut self, series_type: &str, at: Timestamp) {
        let kinds = &self.kinds;
        self.records.retain(|(instant, kind), _| {
            let kind = usize::try_from(*kind).ok().and_then(|kind| kinds.get(kind));
            *instant != at.micros() || kind.is_none_or(|kind| kind.series_type != series_type)
        });
    }

    pub(crate) fn put_verbatim(&mut self, at: Timestamp, json: &str) {
        self.records.insert((at.micros(), VERBATIM), Record::Verbatim(json.to_owned()));
    }

    pub(crate) fn remove(&mut self, at: Timestamp) {
        self.records.retain(|(instant, _), _| *instant != at.micros());
    }

    pub(crate) fn rename_device(&mut self, from: Option<&str>, to: Option<&str>) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.source.device.as_deref() == from) {
            kind.source.device = to.map(str::to_owned);
        }
    }

    /// Sets the fault of a route, or of every one.
    pub(crate) fn set_fault(&mut self, route: Option<Route>, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.faults.insert(route, Trouble { fault, pages: 0 }),
            None => self.faults.remove(&route),
        };
    }

    /// Counts a page of this route; answers with what happens to it, and how many came since that was set.
    pub(crate) fn trouble(&mut self, route: Route) -> Option<(Fault, u32)> {
        let found = [Some(route), None].into_iter().find(|key| self.faults.contains_key(key))?;
        let trouble = self.faults.get_mut(&found)?;
        trouble.pages += 1;
        Some((trouble.fault.clone(), trouble.pages))
    }

    pub(crate) fn heart_rates(&self) -> Vec<(Timestamp, f64)> {
        let rates = self.records.iter().filter_map(|((at, kind), record)| match record {
            Record::Sample { value, .. } if self.is_type(*kind, "heart_rate") => {
                Some((Timestamp::from_micros(*at), *value))
            }
            _ => None,
        });
        rates.collect()
    }

    pub(crate) fn kind(&self, kind: u32) -> Option<&Kind> {
        self.kinds.get(usize::try_from(kind).ok()?)
    }

    /// A verbatim record counts as a heart rate.
    pub(crate) fn is_type(&self, kind: u32, series_type: &str) -> bool {
        self.kind(kind).map_or(series_type == "heart_rate", |kind| kind.series_type == series_type)
    }

    /// What a historical sync that reaches back to `from` brings.
    pub(crate) fn sync(&mut self, from: Timestamp) {
        let (synced, rest) = std::mem::take(&mut self.unsynced).into_iter().partition(|row| row.at >= from);
        self.unsynced = rest;
        let synced: Vec<Row> = synced;
        for row in synced {
            self.put(row);
        }
    }
}
