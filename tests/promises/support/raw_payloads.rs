//! A bucket with payloads, and the observations read from them.

use std::io::Write;

use serde_json::Value;

use crate::support::bucket::*;
use crate::support::harness::*;

pub const TODAY: &str = "2026-11-21";
pub const EIGHT: &str = "2026-11-21T08:00:00Z";
pub const NINE: &str = "2026-11-21T09:00:00Z";

/// Returns a patient and one payload with two heart rates.
pub fn one_payload() -> (World, Bucket, String, String) {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    bucket.put_heart_rates(
        &Bucket::key(TODAY, &user, "701e19a918f0"),
        &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")],
    );
    (world, bucket, user, patient)
}

pub fn instants(world: &World, patient: &str) -> Vec<(String, f64)> {
    world.kept(patient).into_iter().map(|(at, value)| (at.to_string(), value)).collect()
}

pub fn both() -> Vec<(String, f64)> {
    vec![(EIGHT.to_owned(), 61.0), (NINE.to_owned(), 72.0)]
}

pub fn capture(name: &str) -> Value {
    let path = format!("{}/tests/captures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn packed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
