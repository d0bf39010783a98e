//! A user's rows, as OW's table keeps them: unique by source, type and time, updated in place.

use std::collections::BTreeMap;

use super::Fault;
use super::oauth::Connection;
use crate::time::Timestamp;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When it was measured.
    pub at: Timestamp,
    /// `zone_offset`, such as `+02:00`.
    pub zone: Option<String>,
    /// The value.
    pub value: f64,
    /// What the row shares with others.
    pub kind: Kind,
}

/// What rows of one source and type share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The series type.
    pub series_type: String,
    /// The unit.
    pub unit: String,
    /// The provider, which is also the source.
    pub provider: String,
    /// The device.
    pub device: Option<String>,
}

impl Row {
    /// A heart rate of an Oura ring, whose device OW does not know.
    pub fn heart_rate(at: Timestamp, value: f64) -> Self {
        let kind = Kind {
            series_type: "heart_rate".into(),
            unit: "bpm".into(),
            provider: "oura".into(),
            device: None,
        };
        Self { at, zone: None, value, kind }
    }

    /// The same row of this device.
    #[must_use]
    pub fn with_device(mut self, device: &str) -> Self {
        self.kind.device = Some(device.to_owned());
        self
    }

    /// The same row with this local offset.
    #[must_use]
    pub fn with_zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }
}

/// What is served for one row.
#[derive(Debug)]
pub(super) enum Record {
    Sample { value: f64, zone: Option<String> },
    Verbatim(String),
}

/// Kinds are numbered; a record that is served as it was written has this one.
const VERBATIM: u32 = u32::MAX;

/// A user and what OW has of it.
#[derive(Debug, Default)]
pub(super) struct User {
    pub(super) external_id: Option<String>,
    pub(super) created: Option<Timestamp>,
    pub(super) kinds: Vec<Kind>,
    /// By time, then by kind: OW's order is time, then row id, and ids are made from both.
    pub(super) records: BTreeMap<(i64, u32), Record>,
    pub(super) unsynced: Vec<Row>,
    pub(super) fault: Option<Fault>,
    /// By provider.
    pub(super) connections: BTreeMap<String, Connection>,
    /// Pages asked for since the fault was set.
    pub(super) pages: u32,
}

impl User {
    pub(super) fn put(&mut self, row: Row) {
        let kind = self.kinds.iter().position(|kind| *kind == row.kind).unwrap_or_else(|| {
            self.kinds.push(row.kind.clone());
            self.kinds.len() - 1
        });
        let kind = u32::try_from(kind).unwrap_or(VERBATIM - 1);
        self.records.insert((row.at.micros(), kind), Record::Sample { value: row.value, zone: row.zone });
    }

    pub(super) fn put_verbatim(&mut self, at: Timestamp, json: &str) {
        self.records.insert((at.micros(), VERBATIM), Record::Verbatim(json.to_owned()));
    }

    pub(super) fn remove(&mut self, at: Timestamp) {
        self.records.retain(|(instant, _), _| *instant != at.micros());
    }

    pub(super) fn rename_device(&mut self, from: Option<&str>, to: Option<&str>) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.device.as_deref() == from) {
            kind.device = to.map(str::to_owned);
        }
    }

    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        (self.fault, self.pages) = (fault, 0);
    }

    pub(super) fn heart_rates(&self) -> Vec<(Timestamp, f64)> {
        let rates = self.records.iter().filter_map(|((at, kind), record)| match record {
            Record::Sample { value, .. } if self.is_type(*kind, "heart_rate") => {
                Some((Timestamp::from_micros(*at), *value))
            }
            _ => None,
        });
        rates.collect()
    }

    pub(super) fn kind(&self, kind: u32) -> Option<&Kind> {
        self.kinds.get(usize::try_from(kind).ok()?)
    }

    /// A verbatim record counts as of any type.
    pub(super) fn is_type(&self, kind: u32, series_type: &str) -> bool {
        self.kind(kind).is_none_or(|kind| kind.series_type == series_type)
    }

    /// What a historical sync that reaches back to `from` brings.
    pub(super) fn sync(&mut self, from: Timestamp) {
        let (synced, rest) = std::mem::take(&mut self.unsynced).into_iter().partition(|row| row.at >= from);
        self.unsynced = rest;
        let synced: Vec<Row> = synced;
        for row in synced {
            self.put(row);
        }
    }
}
