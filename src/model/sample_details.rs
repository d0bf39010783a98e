//! What a sample says beside its value. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::consent_intervals::Interval;

/// The interval that a sample measures over, as a local clock reads its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its beginning: microseconds since the Unix epoch.
    pub start: Timestamp,
    /// Minutes east of UTC at its beginning, where they are known.
    pub start_zone: Option<ZoneOffset>,
    /// Its end, which is not in it.
    pub end: Timestamp,
    /// Minutes east of UTC at its end, where they are known: the clock may change in between.
    pub end_zone: Option<ZoneOffset>,
}

impl Frame {
    /// The interval itself.
    pub fn interval(self) -> Interval {
        Interval { from: self.start, until: self.end }
    }
}

/// A measure beside the first one. Durations are in seconds, lengths in metres, energies in kilocalories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Diastolic blood pressure in mmHg.
    Diastolic,
    /// Time asleep.
    TotalSleep,
    /// Time in light sleep.
    LightSleep,
    /// Time in deep sleep.
    DeepSleep,
    /// Time in REM sleep.
    RemSleep,
    /// Time awake after falling asleep.
    Awake,
    /// Time from going to bed to falling asleep.
    Latency,
    /// Time asleep in percent of the time in bed.
    Efficiency,
    /// Distance covered.
    Distance,
    /// Energy burned by being active.
    Energy,
}

/// What a sample says beside its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Particulars {
    /// The id of the event, which is part of the sample's identity: OW's, in raw mode the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// The interval; none for an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    /// The name of an activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Whether it is the night's sleep, and no nap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_main_sleep: Option<bool>,
    /// Whether it was measured asleep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asleep: bool,
    /// Whether it is an average over the interval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub average: bool,
    /// Whether it is the least over the interval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub minimum: bool,
    /// Further measures.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<Measure, f64>,
}

impl Particulars {
    /// A further measure.
    pub fn measure(&self, measure: Measure) -> Option<f64> {
        self.measures.get(&measure).copied()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.micros().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from_micros)
    }
}

impl Serialize for ZoneOffset {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.minutes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ZoneOffset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minutes = i64::deserialize(deserializer)?;
        Self::from_minutes(minutes)
            .ok_or_else(|| serde::de::Error::custom("not an offset of less than a day"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particulars_are_read_as_they_were_written_and_equal_ones_are_equal_texts() {
        let at = |text| Timestamp::parse(text).unwrap();
        let frame = Frame {
            start: at("2026-11-20T22:10:00Z"),
            start_zone: ZoneOffset::from_minutes(120),
            end: at("2026-11-21T05:10:00.5Z"),
            end_zone: None,
        };
        let measures = BTreeMap::from([(Measure::RemSleep, 5400.0), (Measure::Efficiency, 92.5)]);
        let night = Particulars {
            id: Some("e1".into()),
            frame: Some(frame),
            is_main_sleep: Some(true),
            measures,
            ..Particulars::default()
        };
        let text = serde_json::to_string(&night).unwrap();
        assert_eq!(serde_json::from_str::<Particulars>(&text).unwrap(), night);
        assert_eq!(serde_json::to_string(&night.clone()).unwrap(), text);
        assert_eq!(serde_json::to_string(&Particulars::default()).unwrap(), "{}");
    }
}
