//! Nights and naps: the observations of one sleep, of up to four series types, make one row.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::series_type::{OmhBody, SeriesType};
use crate::model::observation::StreamInfo;
use crate::model::sample_details::{Measure, StageInterval};
use crate::store::samples::dataset::DataRow;

/// One sleep of a participant.
#[derive(Debug)]
pub(crate) struct Night {
    /// Position of its stream in the participant's list.
    pub(crate) stream: usize,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) start_zone: Option<ZoneOffset>,
    pub(crate) end_zone: Option<ZoneOffset>,
    pub(crate) has_own_offset: bool,
    pub(crate) is_main_sleep: Option<bool>,
    pub(crate) asleep: Option<f64>,
    pub(crate) in_bed: Option<f64>,
    pub(crate) measures: BTreeMap<Measure, f64>,
    pub(crate) stages: Vec<StageInterval>,
    pub(crate) is_suspect: bool,
    /// The identifier of the observation with the lowest rank.
    pub(crate) identifier: Uuid,
    rank: u8,
    pub(crate) commit: i64,
    pub(crate) revision: i64,
}

/// The identity of a sleep: the parts of a stream that its series types share, and its interval. Not OW's id: of a merged
/// night, each series type may have another one.
type NightKey = ((String, String, String, String), Timestamp, Timestamp);

/// The sleeps of one participant.
#[derive(Debug, Default)]
pub(crate) struct Nights(BTreeMap<NightKey, Night>);

impl Nights {
    /// Adds an observation of a sleep.
    pub(crate) fn add(
        &mut self,
        position: usize,
        stream: &StreamInfo,
        series: &SeriesType,
        row: DataRow,
        identifier: Uuid,
    ) {
        let details = row.details.unwrap_or_default();
        let Some(frame) = details.frame else { return };
        let of = |text: &str| text.to_owned();
        let stream_key = (of(&stream.system), of(&stream.provider), of(&stream.source), of(&stream.device));
        let key = (stream_key, frame.start, frame.end);
        // Each has the same identifier, unless OW has merged the night.
        let rank = match series.body {
            OmhBody::SleepEpisode => 0,
            OmhBody::TimeInBed => 1,
            OmhBody::SleepDuration => 2,
            _ => 3,
        };
        let night = self.0.entry(key).or_insert_with(|| Night {
            stream: position,
            start: frame.start,
            end: frame.end,
            start_zone: frame.start_zone,
            end_zone: frame.end_zone,
            has_own_offset: row.zone.is_some(),
            is_main_sleep: None,
            asleep: None,
            in_bed: None,
            measures: BTreeMap::new(),
            stages: Vec::new(),
            is_suspect: false,
            identifier,
            rank,
            commit: row.commit,
            revision: row.revision,
        });
        if rank < night.rank {
            (night.rank, night.identifier) = (rank, identifier);
        }
        night.is_main_sleep = night.is_main_sleep.or(details.is_main_sleep);
        match series.body {
            OmhBody::TimeInBed => night.in_bed = Some(row.value),
            OmhBody::SleepEpisode => {
                night.asleep = night.asleep.or(details.measures.get(&Measure::TotalSleep).copied());
            }
            _ => night.asleep = Some(row.value),
        }
        night.measures.extend(details.measures);
        if !details.stages.is_empty() {
            night.stages = details.stages;
        }
        night.is_suspect |= series.is_suspect(row.value);
        night.commit = night.commit.max(row.commit);
        night.revision = night.revision.max(row.revision);
    }

    /// Returns the sleeps in the order of time.
    pub(crate) fn into_sorted(self) -> Vec<Night> {
        let mut nights: Vec<Night> = self.0.into_values().collect();
        nights.sort_by_key(|night| (night.start, night.identifier));
        nights
    }
}
