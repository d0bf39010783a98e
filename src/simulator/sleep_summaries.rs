//! `GET /users/{id}/summaries/sleep`: one row per day of waking up, made of the sleep events.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::event::{Event, Sleep, stages};
use crate::simulator::query::{Cursor, Moment, Pairs, Tail, around, cut, limit};
use crate::simulator::samples_table::Source;
use crate::simulator::user::{Record, User};

/// Days per page at most.
const CAP: usize = 100;

type Place = (String, Uuid);

/// A request, understood.
#[derive(Debug)]
pub(crate) struct Query {
    from: Moment,
    until: Moment,
    limit: usize,
    cursor: Option<Cursor<Place>>,
}

impl Query {
    /// Understands a query, or says what OW says in its 400.
    pub(crate) fn parse(pairs: &Pairs) -> Result<Self, String> {
        let (from, until) = (Moment::required(pairs, "start_date"), Moment::required(pairs, "end_date"));
        let limit = limit(pairs, CAP)?;
        let cursor = Cursor::parse(pairs, 2, |fields| {
            Some((Moment::parse(fields[0]).ok()?.date(), Uuid::try_parse(fields[1]).ok()?))
        })?;
        Ok(Self { from: from?, until: until?, limit, cursor })
    }

    /// The page, as OW writes it, and with its flaw: it takes one row too many of all sources, and only then
    /// leaves the best source of each day, so that it can say that there is no more where there is.
    pub(crate) fn answer(&self, user: &User) -> String {
        let (first, end) = (self.from.date(), self.until.date());
        let mut groups: BTreeMap<(String, Source), Vec<(Uuid, &Event)>> = BTreeMap::new();
        for (id, event) in user.events.iter().filter(|(_, event)| event.sleep().is_some()) {
            let day = event.end_date();
            if day >= first && day < end {
                groups.entry((day, event.source.clone())).or_default().push((*id, event));
            }
        }
        let mut rows: Vec<(Place, Source, Vec<&Event>)> = groups
            .into_iter()
            .filter_map(|((day, source), mut events)| {
                let id = events.iter().map(|(id, _)| *id).min()?;
                events.sort_by_key(|(_, event)| event.start);
                Some(((day, id), source, events.into_iter().map(|(_, event)| event).collect()))
            })
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        match &self.cursor {
            Some(Cursor::After(place)) => rows.retain(|(key, ..)| key > place),
            Some(Cursor::Before(place)) => {
                rows.retain(|(key, ..)| key < place);
                rows.reverse();
            }
            None => {}
        }
        rows.truncate(self.limit + 1);
        let mut best: Vec<(Place, Source, Vec<&Event>)> = Vec::new();
        for row in rows {
            match best.iter_mut().find(|known| known.0.0 == row.0.0) {
                Some(known) if known.1.rank() <= row.1.rank() => {}
                Some(known) => *known = row,
                None => best.push(row),
            }
        }
        let has_more = cut::<_, ()>(&mut best, self.limit, None);
        let is_known = self.cursor.is_some().then_some(Cursor::After(()));
        let (next, previous) = around(&best, has_more, is_known.as_ref(), |((day, id), ..)| {
            format!("{day}T00:00:00+00:00|{id}")
        });
        let records: Vec<String> =
            best.iter().map(|((day, _), source, events)| describe(user, day, source, events)).collect();
        let mut text = format!("{{\"data\":[{}", records.join(","));
        let (from, until) = (self.from, self.until);
        Tail { next, previous, has_more, total: None, from, until }.write(&mut text, records.len());
        text
    }
}

fn whole_minutes(event: &Event) -> i64 {
    event.duration_seconds.unwrap_or(0) / 60
}

fn asleep(event: &Event, sleep: &Sleep) -> i64 {
    sleep.asleep_minutes.filter(|_| !sleep.is_nap).unwrap_or_else(|| whole_minutes(event))
}

fn describe(user: &User, day: &str, source: &Source, events: &[&Event]) -> String {
    let of = |is_nap: bool| {
        let sleeps = events.iter().filter_map(|event| Some((*event, event.sleep()?)));
        sleeps.filter(|(_, sleep)| sleep.is_nap == is_nap).collect::<Vec<_>>()
    };
    let (main, naps) = (of(false), of(true));
    // The first of the longest ones.
    let longest =
        main.iter().rev().max_by_key(|(event, sleep)| asleep(event, sleep)).map(|(event, _)| *event);
    let start = main.iter().map(|(event, _)| event.start).min();
    let end = main.iter().map(|(event, _)| event.end).max();
    let mean = |series_type: &str| average(user, series_type, start?, end?);
    let main_minutes: i64 = main.iter().map(|(event, sleep)| asleep(event, sleep)).sum();
    let nap_minutes: i64 = naps.iter().map(|(event, _)| whole_minutes(event)).sum();
    let sum_of = |part: usize| main.iter().filter_map(|(_, sleep)| sleep.stages).map(|all| all[part]).sum();
    let has_stages = main.iter().any(|(_, sleep)| sleep.stages.is_some());
    let in_bed: Vec<i64> = main.iter().filter_map(|(_, sleep)| sleep.in_bed_minutes).collect();
    let sessions: Vec<Value> = events
        .iter()
        .filter_map(|event| {
            let sleep = event.sleep()?;
            Some(json!({
                "start_time": event.start.to_string(),
                "end_time": event.end.to_string(),
                "zone_offset": event.zone,
                "duration_minutes": asleep(event, sleep),
                "is_nap": sleep.is_nap,
            }))
        })
        .collect();
    json!({
        "date": day,
        "source": source.to_json(),
        "start_time": longest.map(|event| event.start.to_string()),
        "end_time": longest.map(|event| event.end.to_string()),
        "zone_offset": longest.and_then(|event| event.zone.clone()),
        "duration_minutes": main_minutes,
        "total_duration_minutes": main_minutes + nap_minutes,
        "time_in_bed_minutes": (!in_bed.is_empty()).then(|| in_bed.iter().sum::<i64>()),
        "efficiency_percent": efficiency(&main),
        "stages": has_stages.then(|| stages([sum_of(0), sum_of(1), sum_of(2), sum_of(3)])),
        "interruptions_count": null,
        "nap_count": naps.len(),
        "nap_duration_minutes": nap_minutes,
        "sessions": sessions,
        "avg_heart_rate_bpm": mean("heart_rate").map(f64::round).map(whole),
        "avg_hrv_sdnn_ms": mean("heart_rate_variability_sdnn"),
        "avg_hrv_rmssd_ms": mean("heart_rate_variability_rmssd"),
        "avg_respiratory_rate": mean("respiratory_rate"),
        "avg_spo2_percent": mean("oxygen_saturation"),
    })
    .to_string()
}

#[expect(clippy::cast_possible_truncation, reason = "a heart rate")]
fn whole(number: f64) -> i64 {
    number as i64
}

/// Weighed by how long each sleep was.
fn efficiency(main: &[(&Event, &Sleep)]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a night need no more precision")]
    let weighed = main.iter().filter_map(|(event, sleep)| {
        sleep.efficiency.map(|percent| (percent, event.duration_seconds.unwrap_or(0) as f64))
    });
    let (sum, length) =
        weighed.fold((0.0, 0.0), |(sum, length), (percent, each)| (sum + percent * each, length + each));
    (length > 0.0).then(|| sum / length)
}

/// Over the samples of every source from the start of the first sleep to the end of the last one.
fn average(user: &User, series_type: &str, start: Timestamp, end: Timestamp) -> Option<f64> {
    let (low, high) = ((start.micros(), 0), (end.micros(), 0));
    let range = (low < high).then(|| user.records.range(low..high));
    let values = range.into_iter().flatten().filter_map(|((_, kind), record)| match record {
        Record::Sample { value, .. } if user.kind(*kind)?.series_type == series_type => Some(*value),
        _ => None,
    });
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
