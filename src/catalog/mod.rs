//! What becomes what: of OW's types and events, through Open mHealth's schemas, to the codes that patients consent to.
//!
//! One table, [`SERIES`], says it; what a poll asks for, what a consent page offers, what is converted, exported and
//! drawn follows from it.

mod code;
mod endpoint;
mod series;
mod source;
mod unit;

pub use code::{CODES, Code, HEART_RATE};
pub use endpoint::{ENDPOINTS, Endpoint, endpoint, endpoint_in, endpoint_like, endpoints_of};
pub use series::{Body, Chart, Origin, SERIES, Shown};
pub use source::{DATA_SOURCES, DataSource, data_source, rests_asleep, step_interval};
pub use unit::convert as convert_unit;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Series {
    /// Its name, which is part of every sample's identity: OW's series type, where it is one.
    pub series_type: &'static str,
    /// Where OW tells of it.
    pub origin: Origin,
    /// The unit that OW writes beside its values.
    pub unit: &'static str,
    /// The code of the data points it becomes, which names their schema.
    pub code: &'static str,
    /// The shape of the data points.
    pub body: Body,
    /// What patients call it.
    pub name: &'static str,
    /// From where to where a chart is drawn at least, in the unit that is shown: what lies outside is kept all the same.
    pub plausible: (f64, f64),
    /// How it is drawn.
    pub chart: Chart,
    /// The unit in which it is shown.
    pub shown: Shown,
}

impl Eq for Series {}

impl Series {
    /// The types that OW's timeseries is asked for; none where it comes from elsewhere.
    pub fn types(&self) -> &'static [&'static str] {
        match self.origin {
            Origin::Timeseries(types) => types,
            Origin::Sleep | Origin::Workouts | Origin::Activity => &[],
        }
    }

    /// Whether some provider stamps an unchanged measurement anew when it syncs.
    pub fn is_restamped(&self) -> bool {
        matches!(self.series_type, "weight" | "height")
    }

    /// Whether this provider does so: then what says nothing new is no new observation.
    pub fn is_restamped_by(&self, provider: &str) -> bool {
        self.is_restamped() && matches!(provider, "oura" | "whoop")
    }
}

/// The catalogue's row of this name.
pub fn series(series_type: &str) -> Option<&'static Series> {
    SERIES.iter().find(|series| series.series_type == series_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_lacks_anything() {
        for (place, series) in SERIES.iter().enumerate() {
            let name = series.series_type;
            assert!(CODES.iter().any(|code| code.code == series.code), "{name}: no seed makes its code");
            assert!(
                DATA_SOURCES.iter().any(|source| source.codes.contains(&series.code)),
                "{name}: no provider delivers it"
            );
            assert!(SERIES[..place].iter().all(|other| other.series_type != name), "{name}: twice");
            let texts = [name, series.unit, series.name, series.shown.unit];
            assert!(texts.iter().all(|text| !text.is_empty()), "{name}: something is empty");
            assert!(series.plausible.0 < series.plausible.1 && series.shown.per > 0.0, "{name}: its range");
            assert_eq!(series.code.split(':').count(), 3, "{name}: its code names no schema");
            if let Origin::Timeseries(types) = series.origin {
                assert!(!types.is_empty(), "{name}: OW is asked for nothing");
            }
        }
    }

    #[test]
    fn every_data_source_delivers_seeded_codes() {
        for code in DATA_SOURCES.iter().flat_map(|source| source.codes) {
            assert!(CODES.iter().any(|known| known.code == *code), "{code}");
        }
    }
}
