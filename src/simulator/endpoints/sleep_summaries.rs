//! `GET /users/{id}/summaries/sleep`: one row per day of waking up, computed from sleep events.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::event::{Event, Sleep, render_stages};
use crate::simulator::query::{Cursor, PageRange, QueryPairs, TimeBound, page_cursors, trim_page};
use crate::simulator::samples_table::Source;
use crate::simulator::user::{SimulatedUser, StoredRecord};

/// Days per page at most.
const CAP: usize = 100;

/// The day, and the lowest id of its events.
type SummaryKey = (String, Uuid);

#[derive(Debug)]
pub(crate) struct SleepSummaryQuery {
    range: PageRange,
    cursor: Option<Cursor<SummaryKey>>,
}

impl SleepSummaryQuery {
    pub(crate) fn parse(pairs: &QueryPairs) -> Result<Self, String> {
        let range = PageRange::parse(pairs, "start_date", "end_date", CAP)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            Some((TimeBound::parse(fields[0]).ok()?.date(), Uuid::try_parse(fields[1]).ok()?))
        })?;
        Ok(Self { range, cursor })
    }

    pub(crate) fn render_page(&self, user: &SimulatedUser) -> String {
        let (first, end) = (self.range.from.date(), self.range.until.date());
        let mut groups: BTreeMap<(String, Source), Vec<(Uuid, &Event)>> = BTreeMap::new();
        for (id, event) in user.events.iter().filter(|(_, event)| event.as_sleep().is_some()) {
            let day = event.end_date();
            if day >= first && day < end {
                groups.entry((day, event.source.clone())).or_default().push((*id, event));
            }
        }
        let mut rows: Vec<(SummaryKey, Source, Vec<&Event>)> = groups
            .into_iter()
            .filter_map(|((day, source), mut events)| {
                let id = events.iter().map(|(id, _)| *id).min()?;
                events.sort_by_key(|(_, event)| event.start);
                Some(((day, id), source, events.into_iter().map(|(_, event)| event).collect()))
            })
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        match &self.cursor {
            Some(Cursor::After(key)) => rows.retain(|(row, ..)| row > key),
            Some(Cursor::Before(key)) => {
                rows.retain(|(row, ..)| row < key);
                rows.reverse();
            }
            None => {}
        }
        // A flaw of a real OW: it takes one row too many over all sources, and only then reduces each day to
        // its best source. A page can therefore be short and deny that more follow.
        rows.truncate(self.range.limit + 1);
        let mut best: Vec<(SummaryKey, Source, Vec<&Event>)> = Vec::new();
        for row in rows {
            match best.iter_mut().find(|known| known.0.0 == row.0.0) {
                Some(known) if known.1.rank() <= row.1.rank() => {}
                Some(known) => *known = row,
                None => best.push(row),
            }
        }
        let has_more = trim_page::<_, ()>(&mut best, self.range.limit, None);
        let forwards = self.cursor.is_some().then_some(Cursor::After(()));
        let cursors = page_cursors(&best, has_more, forwards.as_ref(), |((day, id), ..)| {
            format!("{day}T00:00:00+00:00|{id}")
        });
        let records: Vec<String> =
            best.iter().map(|((day, _), source, events)| render(user, day, source, events)).collect();
        self.range.render_page(&records, &cursors, has_more, None)
    }
}

fn duration_minutes(event: &Event) -> i64 {
    event.duration_seconds.unwrap_or(0) / 60
}

fn asleep_minutes(event: &Event, sleep: &Sleep) -> i64 {
    sleep.asleep_minutes.filter(|_| !sleep.is_nap).unwrap_or_else(|| duration_minutes(event))
}

fn render(user: &SimulatedUser, day: &str, source: &Source, events: &[&Event]) -> String {
    let sleeps: Vec<(&Event, &Sleep)> =
        events.iter().filter_map(|event| Some((*event, event.as_sleep()?))).collect();
    let (naps, nights): (Vec<_>, Vec<_>) = sleeps.iter().copied().partition(|(_, sleep)| sleep.is_nap);
    // `max_by_key` returns the last of equal ones; OW takes the first.
    let longest = nights.iter().rev().max_by_key(|(event, sleep)| asleep_minutes(event, sleep));
    let longest = longest.map(|(event, _)| *event);
    let start = nights.iter().map(|(event, _)| event.start).min();
    let end = nights.iter().map(|(event, _)| event.end).max();
    let mean = |series_type: &str| average(user, series_type, start?, end?);
    let night_minutes: i64 = nights.iter().map(|(event, sleep)| asleep_minutes(event, sleep)).sum();
    let nap_minutes: i64 = naps.iter().map(|(event, _)| duration_minutes(event)).sum();
    let sum_of =
        |stage: usize| nights.iter().filter_map(|(_, sleep)| sleep.stages).map(|all| all[stage]).sum();
    let has_stages = nights.iter().any(|(_, sleep)| sleep.stages.is_some());
    let in_bed: Vec<i64> = nights.iter().filter_map(|(_, sleep)| sleep.in_bed_minutes).collect();
    let render_session = |(event, sleep): &(&Event, &Sleep)| {
        json!({
            "start_time": event.start.to_string(),
            "end_time": event.end.to_string(),
            "zone_offset": event.zone,
            "duration_minutes": asleep_minutes(event, sleep),
            "is_nap": sleep.is_nap,
        })
    };
    #[expect(clippy::cast_possible_truncation, reason = "a heart rate")]
    let heart_rate = mean("heart_rate").map(|rate| rate.round() as i64);
    json!({
        "date": day,
        "source": source,
        "start_time": longest.map(|event| event.start.to_string()),
        "end_time": longest.map(|event| event.end.to_string()),
        "zone_offset": longest.and_then(|event| event.zone.clone()),
        "duration_minutes": night_minutes,
        "total_duration_minutes": night_minutes + nap_minutes,
        "time_in_bed_minutes": (!in_bed.is_empty()).then(|| in_bed.iter().sum::<i64>()),
        "efficiency_percent": efficiency(&nights),
        "stages": has_stages.then(|| render_stages([0, 1, 2, 3].map(sum_of))),
        "interruptions_count": null,
        "nap_count": naps.len(),
        "nap_duration_minutes": nap_minutes,
        "sessions": sleeps.iter().map(render_session).collect::<Vec<Value>>(),
        "avg_heart_rate_bpm": heart_rate,
        "avg_hrv_sdnn_ms": mean("heart_rate_variability_sdnn"),
        "avg_hrv_rmssd_ms": mean("heart_rate_variability_rmssd"),
        "avg_respiratory_rate": mean("respiratory_rate"),
        "avg_spo2_percent": mean("oxygen_saturation"),
    })
    .to_string()
}

/// Averages the efficiency, weighted by the duration of each sleep.
fn efficiency(nights: &[(&Event, &Sleep)]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a night need no more precision")]
    let weighted = nights.iter().filter_map(|(event, sleep)| {
        sleep.efficiency.map(|percent| (percent, event.duration_seconds.unwrap_or(0) as f64))
    });
    let (sum, weight) =
        weighted.fold((0.0, 0.0), |(sum, weight), (percent, each)| (sum + percent * each, weight + each));
    (weight > 0.0).then(|| sum / weight)
}

/// Averages the samples of every source from the start of the first sleep to the end of the last.
fn average(user: &SimulatedUser, series_type: &str, start: Timestamp, end: Timestamp) -> Option<f64> {
    let (low, high) = ((start.micros(), 0), (end.micros(), 0));
    let range = (low < high).then(|| user.records.range(low..high));
    let values = range.into_iter().flatten().filter_map(|((_, series), record)| match record {
        StoredRecord::Sample { value, .. } if user.series(*series)?.series_type == series_type => {
            Some(*value)
        }
        _ => None,
    });
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
