//! A user's rows, as OW's table keeps them: unique by source, type and time, updated in place.

use std::collections::BTreeMap;
use std::fmt::Write;

use uuid::Uuid;

use super::activity::ActivityDay;
use super::asked::Route;
use super::events::Event;
use super::oauth::Connection;
use super::{Fault, series};
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
    /// `is_daily_total`: true for the total of a day, false for a part of one, none where it is not said.
    pub daily_total: Option<bool>,
    /// What the row shares with others.
    pub kind: Kind,
}

/// What rows of one source and type share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The series type.
    pub series_type: String,
    /// The unit. A real OW has one for each type; no part of what tells rows apart.
    pub unit: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where something comes from: OW tells sources apart by provider, source and device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The provider, such as `oura`.
    pub provider: String,
    /// The writer within the provider: its own name, that of an app, or none.
    pub source: Option<String>,
    /// The device.
    pub device: Option<String>,
    /// `watch`, `ring`, `phone`, …
    pub device_type: Option<String>,
    /// What the device is sold as.
    pub device_name: Option<String>,
}

/// The rank of a provider, of the type of a device, and of its name; the least one wins.
pub(super) type Rank = (u8, u8, String);

impl Source {
    /// A provider whose device OW does not know.
    pub fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            source: Some(provider.to_owned()),
            device: None,
            device_type: None,
            device_name: None,
        }
    }

    /// What tells it apart from others of the same user.
    pub(super) fn identity(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.provider, self.source.as_deref(), self.device.as_deref())
    }

    /// Its place among the sources of one day: OW shows the first and hides the others.
    pub(super) fn rank(&self) -> Rank {
        let of = |all: &[&str], one: Option<&str>| {
            let place = all.iter().position(|each| Some(*each) == one);
            place.and_then(|place| u8::try_from(place).ok()).unwrap_or(99)
        };
        let provider = of(&["apple", "garmin", "polar", "suunto", "whoop"], Some(&self.provider));
        let device_type =
            of(&["watch", "band", "ring", "phone", "scale", "other"], self.device_type.as_deref());
        (provider, device_type, self.device.clone().unwrap_or_default())
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let mut text = String::new();
        self.write(&mut text);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// As every record shows it.
    pub(super) fn write(&self, text: &mut String) {
        let quoted = |part: &Option<String>| {
            part.as_ref()
                .map_or_else(|| "null".to_owned(), |part| serde_json::Value::from(part.as_str()).to_string())
        };
        let _ = write!(
            text,
            "{{\"provider\":\"{}\",\"source\":{},\"device\":{},\"device_type\":{},\"device_name\":{}}}",
            self.provider,
            quoted(&self.source),
            quoted(&self.device),
            quoted(&self.device_type),
            quoted(&self.device_name)
        );
    }
}

impl Kind {
    fn is_same_series(&self, other: &Self) -> bool {
        self.series_type == other.series_type && self.source.identity() == other.source.identity()
    }
}

impl Row {
    /// A heart rate of an Oura ring, whose device OW does not know.
    pub fn heart_rate(at: Timestamp, value: f64) -> Self {
        Self::of("heart_rate", at, value)
    }

    /// A value of any series type, of an Oura ring, in OW's unit.
    pub fn of(series_type: &str, at: Timestamp, value: f64) -> Self {
        let unit = series::unit_of(series_type).unwrap_or("unknown");
        let kind =
            Kind { series_type: series_type.to_owned(), unit: unit.to_owned(), source: Source::of("oura") };
        Self { at, zone: None, value, daily_total: None, kind }
    }

    /// The same row of this device.
    #[must_use]
    pub fn with_device(mut self, device: &str) -> Self {
        self.kind.source.device = Some(device.to_owned());
        self
    }

    /// The same row of this provider, which is also its source.
    #[must_use]
    pub fn with_provider(mut self, provider: &str) -> Self {
        self.kind.source = Source { device: self.kind.source.device, ..Source::of(provider) };
        self
    }

    /// The same row of this source.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.kind.source = source;
        self
    }

    /// The same row in another unit than OW's.
    #[must_use]
    pub fn with_unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.kind.unit);
        self
    }

    /// The same row as the total of a day, or as a part of one.
    #[must_use]
    pub fn with_daily_total(mut self, daily_total: bool) -> Self {
        self.daily_total = Some(daily_total);
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
    /// `unit` only where it is not the one of its kind.
    Sample {
        value: f64,
        zone: Option<String>,
        daily_total: Option<bool>,
        unit: Option<String>,
    },
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
    /// Sleep and workouts, by OW's id.
    pub(super) events: BTreeMap<Uuid, Event>,
    /// Days of activity that a test wrote, by date; the others are made of the rows.
    pub(super) activity: BTreeMap<String, ActivityDay>,
    /// By route, or of every route.
    pub(super) faults: BTreeMap<Option<Route>, Trouble>,
    /// By provider.
    pub(super) connections: BTreeMap<String, Connection>,
}

/// A fault, and the pages asked for since it was set.
#[derive(Debug)]
pub(super) struct Trouble {
    fault: Fault,
    pages: u32,
}

impl User {
    pub(super) fn put(&mut self, row: Row) {
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
    pub(super) fn remove_row(&mut self, series_type: &str, at: Timestamp) {
        let kinds = &self.kinds;
        self.records.retain(|(instant, kind), _| {
            let kind = usize::try_from(*kind).ok().and_then(|kind| kinds.get(kind));
            *instant != at.micros() || kind.is_none_or(|kind| kind.series_type != series_type)
        });
    }

    pub(super) fn put_verbatim(&mut self, at: Timestamp, json: &str) {
        self.records.insert((at.micros(), VERBATIM), Record::Verbatim(json.to_owned()));
    }

    pub(super) fn remove(&mut self, at: Timestamp) {
        self.records.retain(|(instant, _), _| *instant != at.micros());
    }

    pub(super) fn rename_device(&mut self, from: Option<&str>, to: Option<&str>) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.source.device.as_deref() == from) {
            kind.source.device = to.map(str::to_owned);
        }
    }

    /// Sets the fault of a route, or of every one.
    pub(super) fn set_fault(&mut self, route: Option<Route>, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.faults.insert(route, Trouble { fault, pages: 0 }),
            None => self.faults.remove(&route),
        };
    }

    /// Counts a page of this route; answers with what happens to it, and how many came since that was set.
    pub(super) fn trouble(&mut self, route: Route) -> Option<(Fault, u32)> {
        let found = [Some(route), None].into_iter().find(|key| self.faults.contains_key(key))?;
        let trouble = self.faults.get_mut(&found)?;
        trouble.pages += 1;
        Some((trouble.fault.clone(), trouble.pages))
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

    /// A verbatim record counts as a heart rate.
    pub(super) fn is_type(&self, kind: u32, series_type: &str) -> bool {
        self.kind(kind).map_or(series_type == "heart_rate", |kind| kind.series_type == series_type)
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
