//! Rows of OW's table of samples. OW keeps one row per source, series type and time, and updates it in place.

use serde::Serialize;

use crate::common::time::Timestamp;
use crate::simulator::series_types;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub at: Timestamp,
    /// `zone_offset`, such as `+02:00`.
    pub zone: Option<String>,
    pub value: f64,
    /// `is_daily_total`: true for the total of a day, false for a part of one, none where OW does not say.
    pub daily_total: Option<bool>,
    pub series: SampleSeries,
}

/// The fields that rows of one source and series type share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSeries {
    pub series_type: String,
    /// Not part of the key. A real OW has one unit for each type.
    pub unit: String,
    pub source: Source,
}

/// The origin of a record, with its fields in OW's order. The first three are its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Source {
    /// The provider, such as `oura`.
    pub provider: String,
    /// The writer within the provider: its own name, that of an app, or none.
    pub source: Option<String>,
    pub device: Option<String>,
    /// `watch`, `ring`, `phone`, …
    pub device_type: Option<String>,
    /// The device's product name.
    pub device_name: Option<String>,
}

/// The ranks of the provider and of the device type, and the device; the lowest wins.
pub(crate) type SourceRank = (u8, u8, String);

impl Source {
    /// Makes a source of this provider without a device.
    pub fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            source: Some(provider.to_owned()),
            device: None,
            device_type: None,
            device_name: None,
        }
    }

    pub(crate) fn identity(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.provider, self.source.as_deref(), self.device.as_deref())
    }

    /// Returns its rank among the sources of one day. OW shows the lowest and hides the others.
    pub(crate) fn rank(&self) -> SourceRank {
        let index_in = |order: &[&str], name: Option<&str>| {
            let index = order.iter().position(|each| Some(*each) == name);
            index.and_then(|index| u8::try_from(index).ok()).unwrap_or(99)
        };
        let provider = index_in(&["apple", "garmin", "polar", "suunto", "whoop"], Some(&self.provider));
        let device_type =
            index_in(&["watch", "band", "ring", "phone", "scale", "other"], self.device_type.as_deref());
        (provider, device_type, self.device.clone().unwrap_or_default())
    }
}

impl SampleSeries {
    pub(crate) fn has_same_key(&self, other: &Self) -> bool {
        self.series_type == other.series_type && self.source.identity() == other.source.identity()
    }
}

impl Row {
    /// Makes a heart rate of an Oura ring without a device name.
    pub fn heart_rate(at: Timestamp, value: f64) -> Self {
        Self::of("heart_rate", at, value)
    }

    /// Makes a value of an Oura ring, in OW's unit for this series type.
    pub fn of(series_type: &str, at: Timestamp, value: f64) -> Self {
        let unit = series_types::find_unit(series_type).unwrap_or("unknown").to_owned();
        let series = SampleSeries { series_type: series_type.to_owned(), unit, source: Source::of("oura") };
        Self { at, zone: None, value, daily_total: None, series }
    }

    #[must_use]
    pub fn with_device(mut self, device: &str) -> Self {
        self.series.source.device = Some(device.to_owned());
        self
    }

    /// Sets the provider and the writer within it; keeps the device.
    #[must_use]
    pub fn with_provider(mut self, provider: &str) -> Self {
        self.series.source = Source { device: self.series.source.device, ..Source::of(provider) };
        self
    }

    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.series.source = source;
        self
    }

    #[must_use]
    pub fn with_unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.series.unit);
        self
    }

    #[must_use]
    pub fn with_daily_total(mut self, daily_total: bool) -> Self {
        self.daily_total = Some(daily_total);
        self
    }

    #[must_use]
    pub fn with_zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.to_owned());
        self
    }
}
