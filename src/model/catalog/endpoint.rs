//! Oura's own endpoints, whose payloads raw mode ingests: which rows of the catalogue their records become.

use serde_json::Value;

/// One of a provider's own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path, as OW notes it with the payload (`trace_id`).
    pub path: &'static str,
    /// OW's name of the provider.
    pub provider: &'static str,
    /// The rows of the catalogue that one of its records becomes, as far as it tells of them.
    pub series: &'static [&'static str],
    /// Keys that each of its records has, and that those of no other endpoint have all of.
    pub keys: &'static [&'static str],
    /// Whether a record is the total of a day.
    pub is_daily_total: bool,
    /// Whether a payload is one record, and no list of them.
    pub is_single: bool,
}

/// What the paths of all of Oura's endpoints begin with.
const OURA: &str = "/v2/usercollection/";

const fn oura(
    path: &'static str,
    series: &'static [&'static str],
    keys: &'static [&'static str],
) -> Endpoint {
    Endpoint { path, provider: "oura", series, keys, is_daily_total: false, is_single: false }
}

/// Every endpoint that is ingested.
pub const ENDPOINTS: &[Endpoint] = &[
    oura("/v2/usercollection/heartrate", &["heart_rate"], &["bpm", "timestamp"]),
    oura(
        "/v2/usercollection/sleep",
        &[
            "resting_heart_rate",
            "respiratory_rate",
            "sleep_duration",
            "sleep_episode",
            "sleep_stage_summary",
            "time_in_bed",
        ],
        &["bedtime_start", "bedtime_end"],
    ),
    Endpoint {
        is_daily_total: true,
        ..oura(
            "/v2/usercollection/daily_activity",
            &["steps", "daily_activity"],
            &["day", "steps", "active_calories"],
        )
    },
    oura("/v2/usercollection/daily_spo2", &["oxygen_saturation"], &["day", "spo2_percentage"]),
    oura("/v2/usercollection/workout", &["workout"], &["activity", "start_datetime", "end_datetime"]),
    Endpoint {
        is_single: true,
        ..oura("/v2/usercollection/personal_info", &["weight", "height"], &["weight", "height"])
    },
];

/// The catalogue's entry for an endpoint, with or without a query.
pub fn endpoint(path: &str) -> Option<&'static Endpoint> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    ENDPOINTS.iter().find(|endpoint| path.ends_with(endpoint.path))
}

/// The endpoints whose records become this row of the catalogue.
pub fn endpoints_of(series_type: &str) -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().filter(move |endpoint| endpoint.series.contains(&series_type))
}

/// The endpoint that most of these records look like, for a payload of which OW has not noted it: whatever does not
/// look like any, or like several, does not count.
pub fn endpoint_like<'a>(records: impl Iterator<Item = &'a [u8]>) -> Option<&'static Endpoint> {
    let mut votes = [0_usize; ENDPOINTS.len()];
    for record in records {
        let Ok(Value::Object(record)) = serde_json::from_slice(record) else { continue };
        let is_like = |one: &Endpoint| one.keys.iter().all(|key| record.contains_key(*key));
        let mut like = (0..ENDPOINTS.len()).filter(|place| is_like(&ENDPOINTS[*place]));
        if let (Some(place), None) = (like.next(), like.next()) {
            votes[place] += 1;
        }
    }
    let most = votes.iter().max().filter(|most| **most > 0)?;
    ENDPOINTS.iter().zip(&votes).find(|(_, count)| *count == most).map(|(endpoint, _)| endpoint)
}

/// The path of the endpoint that stands in a key, where one does.
pub fn endpoint_in(key: &str) -> Option<&str> {
    let begin = key.find(OURA)?;
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let rest = &key[begin + OURA.len()..];
    let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    Some(&key[begin..begin + OURA.len() + end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::series;
    use crate::model::catalog::source::DATA_SOURCES;

    #[test]
    fn an_endpoint_is_known_by_its_path_and_in_a_key() {
        for path in [
            "/v2/usercollection/heartrate",
            "/v2/usercollection/heartrate?start=x",
            "https://a/v2/usercollection/heartrate/",
        ] {
            assert_eq!(endpoint(path), Some(&ENDPOINTS[0]), "{path}");
        }
        assert_eq!(endpoint("/v2/usercollection/daily_sleep"), None);
        assert_eq!(endpoint_in("p/2026-11-23/u/v2/usercollection/heartrate/1.json"), Some(ENDPOINTS[0].path));
        assert_eq!(endpoint_in("p/u/v2/usercollection/heartrate.json"), Some(ENDPOINTS[0].path));
        assert_eq!(
            endpoint_in("p/u/v2/usercollection/daily_sleep-1.json"),
            Some("/v2/usercollection/daily_sleep")
        );
        assert_eq!(endpoint_in("p/u/1.json"), None);
    }

    #[test]
    fn every_endpoint_gives_rows_that_its_provider_delivers_and_each_row_comes_from_one() {
        for one in ENDPOINTS {
            let source = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(one.provider));
            for name in one.series {
                let code = series(name).unwrap().code;
                assert!(source.unwrap().codes.contains(&code), "{}: {name}", one.path);
                assert_eq!(endpoints_of(name).count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn a_payload_is_known_by_what_most_of_its_records_have() {
        let like = |records: &[&str]| {
            endpoint_like(records.iter().map(|record| record.as_bytes()))
                .map(|one| one.path.trim_start_matches(OURA))
        };
        let rate = r#"{"bpm":60,"timestamp":"x"}"#;
        let night = r#"{"bedtime_start":"x","bedtime_end":null,"day":"x","type":"long_sleep"}"#;
        assert_eq!(like(&[rate]), Some("heartrate"));
        assert_eq!(like(&[r#"{"day":"2026-11-20","score":80}"#, "7", "null", "{"]), None);
        assert_eq!(like(&[rate, "7", night, night]), Some("sleep"), "the first does not decide");
        assert_eq!(like(&[r#"{"bpm":60,"timestamp":"x","bedtime_start":"x","bedtime_end":"x"}"#]), None);
    }
}
