//! The cost of a conversion, per type: from a parsed record to the bytes of its data point.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jhe_ow::model::catalog::series::SERIES;
use jhe_ow::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use jhe_ow::model::observation::StreamInfo;
use jhe_ow::model::stream_key::StreamKey;
use jhe_ow::omh::convert::convert;
use jhe_ow::omh::event::convert_event;
use jhe_ow::omh::render::omh_document;
use jhe_ow::ow::page::parse_record;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Length and number of the measured intervals; the median counts.
const STRETCH: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;
/// Conversions between two readings of the clock.
const BLOCK: u32 = 200;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("conversions/s, from a parsed record to bytes");
    for series in SERIES {
        if let Some(record) = record(series) {
            println!("{:30} {:>12.0}", series.series_type, conversion(series, &record));
        }
    }
}

/// Returns a record as OW sends it; `None` for blood pressure, which takes two.
fn record(series: &SeriesType) -> Option<Value> {
    let source = json!({ "provider": "oura", "source": "oura", "device": "Ring 4" });
    if series.body == OmhBody::BloodPressure {
        return None;
    }
    Some(match series.origin {
        OwEndpoint::Timeseries(types) => json!({
            "timestamp": "2026-11-21T08:20:00Z", "zone_offset": "+02:00", "type": types[0], "value": 72.5,
            "unit": series.unit, "source": source, "is_daily_total": null,
        }),
        OwEndpoint::Sleep => json!({
            "id": "009edd1e-49f6-4e35-a7b9-952f45e501e9", "start_time": "2026-11-20T22:10:00Z",
            "end_time": "2026-11-21T05:10:00Z", "zone_offset": "+01:00", "source": source, "duration_seconds": 25200,
            "sleep_duration_seconds": 23400, "time_in_bed_seconds": 25200, "efficiency_percent": 92.0,
            "stages": { "awake_minutes": 30, "light_minutes": 210, "deep_minutes": 90, "rem_minutes": 90 },
            "is_nap": false,
        }),
        OwEndpoint::Workouts => json!({
            "id": "009edd1e-49f6-4e35-a7b9-952f45e501e9", "type": "running", "start_time": "2026-11-21T08:00:00Z",
            "end_time": "2026-11-21T08:31:00Z", "zone_offset": "+01:00", "source": source, "duration_seconds": 1860,
            "calories_kcal": 310.5, "distance_meters": 5200,
        }),
        OwEndpoint::Activity => json!({
            "date": "2026-11-21", "source": source, "distance_meters": 5200, "active_calories_kcal": 310.5,
            "steps": 8432, "active_minutes": 61,
        }),
    })
}

/// Measures one record: parsing into a sample, and conversion into a document.
fn conversion(series: &'static SeriesType, record: &Value) -> f64 {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let text = record.to_string();
    let parsed = parse_record(&text);
    let key = StreamKey {
        series_type: series.series_type,
        provider: "oura".into(),
        source: "oura".into(),
        device: "Ring 4".into(),
        daily_total: false,
    };
    let stream = StreamInfo::unstored(&key, "009edd1e-49f6-4e35-a7b9-952f45e501e9", "ow:normalized");
    rate(|| {
        let sample = match series.origin {
            OwEndpoint::Timeseries(_) => {
                convert(series, parsed.as_ref().unwrap(), &zone, &mut Vec::new()).unwrap().sample
            }
            _ => convert_event(series, record, &zone, &mut Vec::new()).unwrap().unwrap().sample,
        };
        black_box(omh_document(&stream, &sample.into()).unwrap());
    })
}

/// Returns calls per second: the median of several intervals.
fn rate(mut call: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (begin, mut calls) = (Instant::now(), 0_u32);
            while begin.elapsed() < STRETCH {
                (0..BLOCK).for_each(|_| call());
                calls += BLOCK;
            }
            f64::from(calls) / begin.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}
