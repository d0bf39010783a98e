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
    fn every_data_source_delivers_seeded_codes() {
        for code in DATA_SOURCES.iter().flat_map(|source| source.codes) {
            assert!(CODES.iter().any(|known| known.code == *code), "{code}");
        }
    }
}
