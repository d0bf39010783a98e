//! A user's rows, as OW's table keeps them: unique by source, type and time, updated in place.

use std::fmt::Write;

use crate::common::time::Timestamp;
use crate::simulator::series;

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
pub(crate) type Rank = (u8, u8, String);

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
    pub(crate) fn identity(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.provider, self.source.as_deref(), self.device.as_deref())
    }

    /// Its place among the sources of one day: OW shows the first and hides the others.
    pub(crate) fn rank(&self) -> Rank {
        let of = |all: &[&str], one: Option<&str>| {
            let place = all.iter().position(|each| Some(*each) == one);
            place.and_then(|place| u8::try_from(place).ok()).unwrap_or(99)
        };
        let provider = of(&["apple", "garmin", "polar", "suunto", "whoop"], Some(&self.provider));
        let device_type =
            of(&["watch", "band", "ring", "phone", "scale", "other"], self.device_type.as_deref());
        (provider, device_type, self.device.clone().unwrap_or_default())
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut text = String::new();
        self.write(&mut text);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// As every record shows it.
    pub(crate) fn write(&self, text: &mut String) {
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
    pub(crate) fn is_same_series(&self, other: &Self) -> bool {
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

/// Kinds are numbered; a record that is served as it was written has this one.
pub(crate) const VERBATIM: u32 = u32::MAX;
