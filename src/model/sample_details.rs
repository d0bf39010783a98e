//! Details of a sample besides its value. They are stored as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::consent_intervals::Interval;

/// The interval of a measurement, with the local offset at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFrame {
    pub start: Timestamp,
    pub start_zone: Option<ZoneOffset>,
    /// Not part of the interval.
    pub end: Timestamp,
    /// Differs from `start_zone` if the clocks change in between.
    pub end_zone: Option<ZoneOffset>,
}

impl TimeFrame {
    pub fn interval(self) -> Interval {
        Interval { from: self.start, until: self.end }
    }
}

/// A further measure of a sample. Durations are in seconds, distances in metres, energies in kilocalories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Diastolic blood pressure in mmHg.
    Diastolic,
    TotalSleep,
    LightSleep,
    DeepSleep,
    RemSleep,
    /// Time awake after falling asleep.
    Awake,
    /// Time from going to bed to falling asleep.
    Latency,
    /// Time asleep in percent of the time in bed.
    Efficiency,
    Distance,
    /// Energy burned by activity.
    Energy,
    /// Duration of a workout without its pauses.
    Duration,
}

impl Measure {
    /// Returns the greatest value that can be measured. None is below 0.
    pub fn max(self) -> f64 {
        match self {
            Self::Efficiency => 100.0,
            _ => f64::MAX,
        }
    }
}

/// The intensity of a workout, in OMH's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intensity {
    Light,
    Moderate,
    Vigorous,
}

impl Intensity {
    /// Parses OW's or Oura's word; none for another.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "low" | "easy" | "light" => Some(Self::Light),
            "moderate" => Some(Self::Moderate),
            "high" | "hard" | "vigorous" => Some(Self::Vigorous),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Moderate => "moderate",
            Self::Vigorous => "vigorous",
        }
    }
}

/// A stage of a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SleepStage {
    Light,
    Deep,
    Rem,
    Awake,
    /// In bed, and it is not known whether asleep.
    InBed,
    /// Asleep in an unknown stage.
    Asleep,
    /// A word unknown to this version.
    Other,
}

impl SleepStage {
    pub fn parse(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "deep" => Self::Deep,
            "rem" => Self::Rem,
            "awake" => Self::Awake,
            "in_bed" => Self::InBed,
            "sleeping" | "asleep" => Self::Asleep,
            _ => Self::Other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Deep => "deep",
            Self::Rem => "rem",
            Self::Awake => "awake",
            Self::InBed => "in bed",
            Self::Asleep => "asleep",
            Self::Other => "other",
        }
    }
}

/// An interval of one sleep stage. It is stored as a list of stage, start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageInterval(pub SleepStage, pub Timestamp, pub Timestamp);

/// Details of a sample besides its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleDetails {
    /// Id of the event, part of the sample's identity. It is OW's id, or the provider's in raw mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// None for an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<TimeFrame>,
    /// Kind of an activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The wearer's or the app's title of a workout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Box<str>>,
    /// Intensity of a workout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intensity: Option<Intensity>,
    /// False for a nap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_main_sleep: Option<bool>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<Measure, f64>,
    /// The stages of a sleep in their order, if OW has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageInterval>,
    /// True if the provider has deleted the event since JHE received it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// True for the total of a day that was first stored as a part of one: its identifier says so. Like the field
    /// before, it is last: SQL appends it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_part: bool,
}

impl SampleDetails {
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
    fn details_parse_back_and_equal_details_have_equal_texts() {
        let at = |text| Timestamp::parse(text).unwrap();
        let frame = TimeFrame {
            start: at("2026-11-20T22:10:00Z"),
            start_zone: ZoneOffset::from_minutes(120),
            end: at("2026-11-21T05:10:00.5Z"),
            end_zone: None,
        };
        let measures = BTreeMap::from([(Measure::RemSleep, 5400.0), (Measure::Efficiency, 92.5)]);
        let night = SampleDetails {
            id: Some("e1".into()),
            frame: Some(frame),
            is_main_sleep: Some(true),
            measures,
            ..SampleDetails::default()
        };
        let text = serde_json::to_string(&night).unwrap();
        assert_eq!(serde_json::from_str::<SampleDetails>(&text).unwrap(), night);
        assert_eq!(serde_json::to_string(&night.clone()).unwrap(), text);
        assert_eq!(serde_json::to_string(&SampleDetails::default()).unwrap(), "{}");
    }
}
