//! Nights and naps: the observations of one sleep, of up to four series types, make one row.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::model::catalog::series_type::{OmhBody, SeriesType};
use crate::model::observation::StreamInfo;
use crate::model::sample_details::{Measure, StageInterval, TimeFrame};
use crate::store::samples::dataset::DataRow;

/// One sleep of a participant.
#[derive(Debug)]
pub(crate) struct Night {
    /// Position of its stream in the participant's list.
    pub(crate) stream: usize,
    pub(crate) frame: TimeFrame,
    pub(crate) has_own_offset: bool,
    pub(crate) is_main_sleep: Option<bool>,
    pub(crate) asleep: Option<f64>,
    pub(crate) in_bed: Option<f64>,
    pub(crate) measures: BTreeMap<Measure, f64>,
    pub(crate) stages: Vec<StageInterval>,
    pub(crate) is_suspect: bool,
    pub(crate) identifier: Uuid,
    rank: u8,
    pub(crate) commit: i64,
    pub(crate) revision: i64,
}

/// The parts of a stream that the series types of a sleep share.
type SourceKey = (String, String, String, String);

/// The sleeps of one participant.
#[derive(Debug, Default)]
pub(crate) struct Nights {
    /// By source, and event or instant.
    nights: BTreeMap<(SourceKey, String), Night>,
    /// The event that another id names, as after OW has merged two parts of a night. A series type may know only one of
    /// the ids.
    aliases: BTreeMap<(SourceKey, String), String>,
}

impl Nights {
    /// Adds the further ids of a stream's events, before the observations of any stream.
    pub(crate) fn add_aliases(&mut self, stream: &StreamInfo, aliases: Vec<(String, String)>) {
        let source = source_key(stream);
        self.aliases.extend(aliases.into_iter().map(|(alias, event)| ((source.clone(), alias), event)));
    }

    /// Returns the id of the event of a row, which all series types share; none for a sleep without one.
    pub(crate) fn event(&self, stream: &StreamInfo, row: &DataRow) -> Option<String> {
        let id = row.details.as_ref()?.id.as_deref()?;
        let alias = self.aliases.get(&(source_key(stream), id.to_owned()));
        Some(alias.cloned().unwrap_or_else(|| id.to_owned()))
    }

    /// Adds an observation of a sleep. `identifier` is that of the episode of its event.
    pub(crate) fn add(
        &mut self,
        position: usize,
        stream: &StreamInfo,
        series: &SeriesType,
        row: DataRow,
        identifier: Uuid,
    ) {
        let event = self.event(stream, &row).unwrap_or_else(|| row.instant.to_string());
        let details = row.details.unwrap_or_default();
        let Some(frame) = details.frame else { return };
        let rank = match series.body {
            OmhBody::SleepEpisode => 0,
            OmhBody::TimeInBed => 1,
            OmhBody::SleepDuration => 2,
            _ => 3,
        };
        let night = self.nights.entry((source_key(stream), event)).or_insert_with(|| Night {
            stream: position,
            frame,
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
        // Another series type may be older: its consent has ended.
        if rank < night.rank {
            (night.rank, night.frame, night.has_own_offset) = (rank, frame, row.zone.is_some());
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
        let mut nights: Vec<Night> = self.nights.into_values().collect();
        nights.sort_by_key(|night| (night.frame.start, night.identifier));
        nights
    }
}

fn source_key(stream: &StreamInfo) -> SourceKey {
    let of = |text: &str| text.to_owned();
    (of(&stream.system), of(&stream.provider), of(&stream.source), of(&stream.device))
}
