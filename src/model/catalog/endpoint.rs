//! The provider endpoints whose payloads raw mode ingests, and the series types in their records.

use serde_json::Value;

/// An endpoint of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderEndpoint {
    /// Path, which OW stores with the payload as `trace_id`.
    pub path: &'static str,
    /// OW's provider name.
    pub provider: &'static str,
    /// Series types that a record may contain.
    pub series: &'static [&'static str],
    /// JSON keys of each record. No record of another endpoint has all of them.
    pub keys: &'static [&'static str],
    /// True if a record is the total of a day.
    pub is_daily_total: bool,
    /// True if a payload is one record and no list.
    pub is_single: bool,
}

/// Common start of Oura's paths.
const OURA: &str = "/v2/usercollection/";

const fn oura(
    path: &'static str,
    series: &'static [&'static str],
    keys: &'static [&'static str],
) -> ProviderEndpoint {
    ProviderEndpoint { path, provider: "oura", series, keys, is_daily_total: false, is_single: false }
}

pub const ENDPOINTS: &[ProviderEndpoint] = &[
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
    ProviderEndpoint {
        is_daily_total: true,
        ..oura(
            "/v2/usercollection/daily_activity",
            &["steps", "daily_activity"],
            &["day", "steps", "active_calories"],
        )
    },
    oura("/v2/usercollection/daily_spo2", &["oxygen_saturation"], &["day", "spo2_percentage"]),
    oura("/v2/usercollection/workout", &["workout"], &["activity", "start_datetime", "end_datetime"]),
    ProviderEndpoint {
        is_single: true,
        ..oura("/v2/usercollection/personal_info", &["weight", "height"], &["weight", "height"])
    },
];

/// Returns the endpoint of a path or URL, with or without a query.
pub fn find(path: &str) -> Option<&'static ProviderEndpoint> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    ENDPOINTS.iter().find(|endpoint| path.ends_with(endpoint.path))
}

pub fn list_for_series(series_type: &str) -> impl Iterator<Item = &'static ProviderEndpoint> {
    ENDPOINTS.iter().filter(move |endpoint| endpoint.series.contains(&series_type))
}

/// Guesses the endpoint of a payload without `trace_id`: the one that most records match. Records that match
/// none or several do not count.
pub fn guess_from_records<'a>(records: impl Iterator<Item = &'a [u8]>) -> Option<&'static ProviderEndpoint> {
    let mut votes = [0_usize; ENDPOINTS.len()];
    for record in records {
        let Ok(Value::Object(record)) = serde_json::from_slice(record) else { continue };
        let matches = |one: &ProviderEndpoint| one.keys.iter().all(|key| record.contains_key(*key));
        let mut matching = (0..ENDPOINTS.len()).filter(|index| matches(&ENDPOINTS[*index]));
        if let (Some(index), None) = (matching.next(), matching.next()) {
            votes[index] += 1;
        }
    }
    let most = votes.iter().max().filter(|most| **most > 0)?;
    ENDPOINTS.iter().zip(&votes).find(|(_, count)| *count == most).map(|(endpoint, _)| endpoint)
}

/// Finds the path of an endpoint within an object key.
pub fn path_in_key(key: &str) -> Option<&str> {
    let begin = key.find(OURA)?;
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let rest = &key[begin + OURA.len()..];
    let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    Some(&key[begin..begin + OURA.len() + end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;
    use crate::model::catalog::source::DATA_SOURCES;

    #[test]
    fn an_endpoint_is_found_by_its_path_and_in_a_key() {
        for path in [
            "/v2/usercollection/heartrate",
            "/v2/usercollection/heartrate?start=x",
            "https://a/v2/usercollection/heartrate/",
        ] {
            assert_eq!(find(path), Some(&ENDPOINTS[0]), "{path}");
        }
        assert_eq!(find("/v2/usercollection/daily_sleep"), None);
        assert_eq!(path_in_key("p/2026-11-23/u/v2/usercollection/heartrate/1.json"), Some(ENDPOINTS[0].path));
        assert_eq!(path_in_key("p/u/v2/usercollection/heartrate.json"), Some(ENDPOINTS[0].path));
        assert_eq!(
            path_in_key("p/u/v2/usercollection/daily_sleep-1.json"),
            Some("/v2/usercollection/daily_sleep")
        );
        assert_eq!(path_in_key("p/u/1.json"), None);
    }

    #[test]
    fn each_series_type_comes_from_one_endpoint_of_a_provider_that_delivers_it() {
        for one in ENDPOINTS {
            let source = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(one.provider));
            for name in one.series {
                let code = series::find(name).unwrap().code;
                assert!(source.unwrap().codes().contains(&code), "{}: {name}", one.path);
                assert_eq!(list_for_series(name).count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn most_records_decide_the_endpoint_of_a_payload() {
        let like = |records: &[&str]| {
            guess_from_records(records.iter().map(|record| record.as_bytes()))
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
