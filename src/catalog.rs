//! What becomes what: OW's series types, the codes that patients consent to, and where data come from.

/// A concept that a patient consents to and that an observation carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The terminology it belongs to.
    pub system: &'static str,
    /// The code itself: `namespace:name:version` for a schema.
    pub code: &'static str,
    /// What people call it.
    pub display: &'static str,
}

const OPEN_M_HEALTH: &str = "https://w3id.org/openmhealth";
const IEEE_1752: &str = "https://w3id.org/ieee1752";
const FHIR_RESOURCES: &str = "http://hl7.org/fhir/resource-types";

const fn omh(code: &'static str, display: &'static str) -> Code {
    Code { system: OPEN_M_HEALTH, code, display }
}

/// Heart rate, as OMH's schema names it.
pub const HEART_RATE: &str = "omh:heart-rate:2.0";

/// The codes that JHE itself seeds.
pub const CODES: [Code; 16] = [
    omh("omh:blood-glucose:4.0", "Blood glucose"),
    omh("omh:blood-pressure:4.0", "Blood pressure"),
    omh("omh:body-temperature:4.0", "Body temperature"),
    omh(HEART_RATE, "Heart Rate"),
    omh("omh:oxygen-saturation:2.0", "Oxygen saturation"),
    omh("omh:respiratory-rate:2.0", "Respiratory rate"),
    omh("omh:rr-interval:1.0", "RR Interval"),
    omh("omh:body-weight:3.0", "Body weight"),
    omh("omh:forced-vital-capacity:1.0", "Forced vital capacity"),
    omh("omh:forced-expiratory-volume-1-second:1.0", "Forced expiratory volume in 1 second"),
    Code { system: FHIR_RESOURCES, code: "QuestionnaireResponse", display: "FHIR QuestionnaireResponse" },
    omh("omh:physical-activity:1.2", "Physical activity"),
    omh("omh:step-count:3.0", "Step count"),
    Code { system: IEEE_1752, code: "ieee:sleep-stage-summary:1.0", display: "Sleep stage summary" },
    omh("omh:sleep-episode:1.1", "Sleep episode"),
    omh("omh:sleep-duration:2.0", "Sleep duration"),
];

/// Where data come from, as JHE names its data sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSource {
    /// Its name.
    pub name: &'static str,
    /// JHE's word for what it is.
    pub kind: &'static str,
    /// The codes it can deliver.
    pub codes: &'static [&'static str],
}

/// The data sources that a seed makes.
pub const DATA_SOURCES: [DataSource; 1] =
    [DataSource { name: "Oura", kind: "personal_device", codes: &[HEART_RATE] }];

/// The data source that a provider of OW's is, where it is one of ours; else OW's own name.
pub fn data_source(provider: &str) -> &str {
    let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(provider));
    known.map_or(provider, |source| source.name)
}

/// One of OW's series types, and what its samples become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// OW's name of it.
    pub series_type: &'static str,
    /// The unit that OW writes beside its values.
    pub unit: &'static str,
    /// The code of the data points it becomes.
    pub code: &'static str,
}

/// Every series type that is ingested.
pub const SERIES: [Series; 1] = [Series { series_type: "heart_rate", unit: "bpm", code: HEART_RATE }];

/// The catalogue's entry for one of OW's series types.
pub fn series(series_type: &str) -> Option<&'static Series> {
    SERIES.iter().find(|series| series.series_type == series_type)
}

/// One of a provider's own endpoints whose payloads are ingested in raw mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its path, as OW notes it with the payload (`trace_id`).
    pub path: &'static str,
    /// OW's name of the provider.
    pub provider: &'static str,
    /// The series type that its records are samples of.
    pub series_type: &'static str,
}

/// What the paths of all of Oura's endpoints begin with.
const OURA: &str = "/v2/usercollection/";

/// Every endpoint that is ingested.
pub const ENDPOINTS: [Endpoint; 1] =
    [Endpoint { path: "/v2/usercollection/heartrate", provider: "oura", series_type: "heart_rate" }];

/// The catalogue's entry for an endpoint, with or without a query.
pub fn endpoint(path: &str) -> Option<&'static Endpoint> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    ENDPOINTS.iter().find(|endpoint| path.ends_with(endpoint.path))
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

    #[test]
    fn every_series_becomes_a_code_that_a_seed_makes() {
        for series in &SERIES {
            assert!(CODES.iter().any(|code| code.code == series.code), "{}", series.series_type);
        }
    }

    #[test]
    fn an_endpoint_is_known_by_its_path_and_in_a_key() {
        for path in [
            "/v2/usercollection/heartrate",
            "/v2/usercollection/heartrate?start=x",
            "https://a/v2/usercollection/heartrate/",
        ] {
            assert_eq!(endpoint(path), Some(&ENDPOINTS[0]), "{path}");
        }
        assert_eq!(endpoint("/v2/usercollection/sleep"), None);
        assert_eq!(endpoint_in("p/2026-11-23/u/v2/usercollection/heartrate/1.json"), Some(ENDPOINTS[0].path));
        assert_eq!(endpoint_in("p/u/v2/usercollection/heartrate.json"), Some(ENDPOINTS[0].path));
        assert_eq!(
            endpoint_in("p/u/v2/usercollection/daily_sleep-1.json"),
            Some("/v2/usercollection/daily_sleep")
        );
        assert_eq!(endpoint_in("p/u/1.json"), None);
        assert!(ENDPOINTS.iter().all(|endpoint| series(endpoint.series_type).is_some()));
    }

    #[test]
    fn every_data_source_delivers_seeded_codes() {
        for code in DATA_SOURCES.iter().flat_map(|source| source.codes) {
            assert!(CODES.iter().any(|known| known.code == *code), "{code}");
        }
    }
}
