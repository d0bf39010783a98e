//! What a conversion costs, per type: from a parsed sample to the bytes of its data point; and beside it, in the same
//! run, the Python package omh-shim 2.1.0, from a parsed sample to a dictionary, with its validation and without.
//!
//! The package is the one that `tests/oracle/compare.py` installs; where it is not there, only our rates are printed.

#![allow(clippy::cast_precision_loss, reason = "the figures are small, and for people")]

use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jhe_ow::catalog::{CODES, Origin, SERIES, Series};
use jhe_ow::omh::reference::{self, Sample};
use jhe_ow::omh::{convert, convert_event, omh_document};
use jhe_ow::ow::parse_record;
use jhe_ow::patient::PatientId;
use jhe_ow::store::commit;
use jhe_ow::store::observation::{Observation, StreamInfo};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// How long each figure is measured, and how often; the median counts.
const STRETCH: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;
/// Conversions between two looks at the clock.
const BLOCK: u32 = 200;

/// Times conversions in the package: JSON lines of (`data_type`, sample, validate) in, rates out.
const PACKAGE: &str = "
import json, sys, time
from zoneinfo import ZoneInfo
from omh_shim import convert
tz = ZoneInfo('Europe/Berlin')
for line in sys.stdin:
    data_type, sample, validate = json.loads(line)
    rates = []
    for _ in range(5):
        count, begin = 0, time.perf_counter()
        while (took := time.perf_counter() - begin) < 0.3:
            for _ in range(50):
                convert('ow_normalized', data_type, sample, tz=tz, validate=validate)
            count += 50
        rates.append(count / took)
    print(sorted(rates)[2], flush=True)
";

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("conversions/s, parsed sample to bytes; times the package without and with its validation");
    println!("{:30} {:>12} {:>12} {:>10} {:>10}", "", "daemon", "convert", "without", "with");
    for series in SERIES {
        let Some((data_type, sample)) = sample(series) else { continue };
        let daemon = daemon(series, &sample);
        let convert = as_the_package(data_type, &sample);
        let package = [false, true].map(|validate| package(data_type, &sample, validate));
        let ours = convert.unwrap_or(daemon);
        let ratio =
            |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", ours / rate));
        let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        let name = series.series_type;
        println!(
            "{name:30} {:>12} {:>12} {:>10} {:>10}",
            rate(Some(daemon)),
            rate(convert),
            ratio(package[0]),
            ratio(package[1])
        );
    }
}

/// A sample as OW writes it, and the package's name of its type. A blood pressure takes two samples.
fn sample(series: &Series) -> Option<(&'static str, Value)> {
    let source = json!({ "provider": "oura", "source": "oura", "device": "Ring 4" });
    let data_type = match series.series_type {
        "blood_pressure" => return None,
        "resting_heart_rate" => "heart_rate",
        "weight" => "body_weight",
        "height" => "body_height",
        "steps" => "step_count",
        "heart_rate_variability_sdnn" | "heart_rate_variability_rmssd" => "heart_rate_variability",
        "daily_activity" | "workout" => "physical_activity",
        other => other,
    };
    let sample = match series.origin {
        Origin::Timeseries(types) => json!({
            "timestamp": "2026-11-21T08:20:00Z", "zone_offset": "+02:00", "type": types[0], "value": 72.5,
            "unit": series.unit, "source": source, "is_daily_total": null,
        }),
        Origin::Sleep => json!({
            "id": "009edd1e-49f6-4e35-a7b9-952f45e501e9", "start_time": "2026-11-20T22:10:00Z",
            "end_time": "2026-11-21T05:10:00Z", "zone_offset": "+01:00", "source": source, "duration_seconds": 25200,
            "sleep_duration_seconds": 23400, "time_in_bed_seconds": 25200, "efficiency_percent": 92.0,
            "stages": { "awake_minutes": 30, "light_minutes": 210, "deep_minutes": 90, "rem_minutes": 90 },
            "is_nap": false, "duration_minutes": 390, "date": "2026-11-21",
        }),
        Origin::Workouts => json!({
            "id": "009edd1e-49f6-4e35-a7b9-952f45e501e9", "type": "running", "start_time": "2026-11-21T08:00:00Z",
            "end_time": "2026-11-21T08:31:00Z", "zone_offset": "+01:00", "source": source, "duration_seconds": 1860,
            "calories_kcal": 310.5, "distance_meters": 5200,
        }),
        Origin::Activity => json!({
            "date": "2026-11-21", "source": source, "distance_meters": 5200, "active_calories_kcal": 310.5,
            "steps": 8432, "active_minutes": 61,
        }),
    };
    Some((data_type, sample))
}

/// The daemon's own way: to what is kept, and from that to the document.
fn daemon(series: &Series, sample: &Value) -> f64 {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let text = sample.to_string();
    let record = parse_record(&text);
    let stream = stream(series);
    rate(|| {
        let kept = match series.origin {
            Origin::Timeseries(_) => convert(series, record.as_ref().unwrap(), &zone).unwrap().sample,
            _ => convert_event(series, sample, &zone).unwrap().unwrap().sample,
        };
        black_box(omh_document(&stream, &observation(kept)).unwrap());
    })
}

/// The way of `jhe-ow convert`; none for what the package's newest version does not convert.
fn as_the_package(data_type: &str, sample: &Value) -> Option<f64> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let text = sample.to_string();
    let sample: Sample<'_> = serde_json::from_str(&text).unwrap();
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    reference::convert("ow_normalized", data_type, &sample, Some(&zone), &mut scratch).ok()?;
    Some(rate(|| {
        out.clear();
        let output = reference::convert("ow_normalized", data_type, &sample, Some(&zone), &mut scratch);
        output.unwrap().write(&mut out);
        black_box(&out);
    }))
}

/// The package's rate; none where it is not installed, or converts no such type.
fn package(data_type: &str, sample: &Value, validate: bool) -> Option<f64> {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/oracle/omh-shim-2.1.0/bin/python");
    let mut child = Command::new(python)
        .args(["-c", PACKAGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    writeln!(child.stdin.take()?, "{}", json!([data_type, sample, validate])).ok()?;
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Calls per second: the median of some stretches.
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

fn observation(sample: commit::Sample) -> Observation {
    let commit::Sample { instant, value, zone, context, particulars } = sample;
    Observation { instant, value, zone, revision: 0, context, particulars }
}

fn stream(series: &Series) -> StreamInfo {
    let code = CODES.iter().find(|code| code.code == series.code).unwrap();
    StreamInfo {
        id: 1,
        patient: PatientId::new(1),
        jhe_id: Some(40001),
        subject: "009edd1e-49f6-4e35-a7b9-952f45e501e9".into(),
        system: "ow:normalized".into(),
        series_type: series.series_type.into(),
        provider: "oura".into(),
        source: "oura".into(),
        device: "Ring 4".into(),
        daily_total: false,
        code_system: code.system.into(),
        code: code.code.into(),
        display: code.display.into(),
        converter: 1,
    }
}
