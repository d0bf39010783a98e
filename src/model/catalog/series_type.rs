//! The columns of the series type table in `series.rs`.

/// A series type: one row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesType {
    /// Name, and part of every sample's identity. It is OW's series type if OW has one.
    pub series_type: &'static str,
    /// OW's endpoint with its samples.
    pub origin: OwEndpoint,
    /// Unit of OW's values.
    pub unit: &'static str,
    /// Code of its observations, which names their schema.
    pub code: &'static str,
    pub body: OmhBody,
    /// Name for people.
    pub name: &'static str,
    /// Name of the column with its values in a data set; it ends in the unit.
    pub column: &'static str,
    pub aggregation: Aggregation,
    pub display: DisplayUnit,
    pub limits: Limits,
}

impl Eq for SeriesType {}

/// Ranges of a series type's values; both ends belong to them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The smallest range of a chart's axis, in the display unit. It does not limit the stored values.
    pub chart: (f64, f64),
    /// Values that can be measured at all, in the unit of the store. Others are rejected.
    pub possible: (f64, f64),
    /// Values that are not marked as suspect, in the unit of the store. They leave room for rare illness and effort.
    pub plausible: (f64, f64),
}

impl SeriesType {
    /// Returns the types for OW's `/timeseries`; none for another endpoint.
    pub fn timeseries_types(&self) -> &'static [&'static str] {
        match self.origin {
            OwEndpoint::Timeseries(types) => types,
            _ => &[],
        }
    }

    /// Returns true if a sample describes a day or an event and no instant.
    pub fn is_by_day(&self) -> bool {
        !matches!(self.origin, OwEndpoint::Timeseries(_))
    }

    /// Returns true if some providers repeat an unchanged value with a new time at each sync.
    pub fn is_restamped(&self) -> bool {
        matches!(self.series_type, "weight" | "height")
    }

    /// Returns true if `provider` does so. An unchanged value is then no new observation.
    pub fn is_restamped_by(&self, provider: &str) -> bool {
        self.is_restamped() && matches!(provider, "oura" | "whoop")
    }
}

/// Returns the name of a series type in this catalogue. Newer versions of OW call `energy` `active_energy` in answers.
pub fn canonical_name(series_type: &str) -> &str {
    if series_type == "active_energy" { "energy" } else { series_type }
}

/// An endpoint of OW's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwEndpoint {
    /// `/timeseries` with these types. Of several types, one sample each makes a data point.
    Timeseries(&'static [&'static str]),
    /// `/events/sleep`: nights and naps.
    Sleep,
    /// `/events/workouts`.
    Workouts,
    /// `/summaries/activity`: one row per day.
    Activity,
}

impl OwEndpoint {
    /// Returns true if one request to OW returns both.
    pub fn shares_request(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// The shape of an OMH body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OmhBody {
    /// One value: its key and its unit in the schema.
    Value(&'static str, &'static str),
    BloodPressure,
    StepCount,
    SleepDuration,
    SleepEpisode,
    SleepStages,
    TimeInBed,
    /// A workout, or the activity of a day.
    Activity,
}

/// The aggregation of values in charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// Mean, minimum and maximum per period.
    Range,
    /// Sum per period.
    Sum,
}

/// The unit of a value on pages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DisplayUnit {
    pub unit: &'static str,
    /// Size of this unit in units of the store.
    pub per: f64,
}

/// Returns a row of the table, with one argument per column.
#[expect(clippy::too_many_arguments, reason = "one argument per column of the table")]
pub(super) const fn row(
    series_type: &'static str,
    (origin, unit): (OwEndpoint, &'static str),
    code: &'static str,
    body: OmhBody,
    name: &'static str,
    column: &'static str,
    (aggregation, display): (Aggregation, DisplayUnit),
    limits: Limits,
) -> SeriesType {
    SeriesType { series_type, origin, unit, code, body, name, column, aggregation, display, limits }
}

pub(super) const fn in_unit(unit: &'static str) -> (Aggregation, DisplayUnit) {
    (Aggregation::Range, DisplayUnit { unit, per: 1.0 })
}

pub(super) const fn sum(unit: &'static str) -> (Aggregation, DisplayUnit) {
    (Aggregation::Sum, DisplayUnit { unit, per: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::code::CODES;
    use crate::model::catalog::code::GROUPS;
    use crate::model::catalog::code::patient_description;
    use crate::model::catalog::series::SERIES;

    use crate::model::catalog::source::{DATA_SOURCES, DataSource};

    #[test]
    fn every_row_is_complete() {
        for (index, series) in SERIES.iter().enumerate() {
            let name = series.series_type;
            assert!(CODES.iter().any(|code| code.code == series.code), "{name}: no seed makes its code");
            assert!(SERIES[..index].iter().all(|other| other.series_type != name), "{name}: twice");
            let texts = [name, series.unit, series.name, series.display.unit];
            assert!(texts.iter().all(|text| !text.is_empty()), "{name}: something is empty");
            let Limits { chart, possible, plausible } = series.limits;
            assert!(chart.0 < chart.1 && series.display.per > 0.0, "{name}: its chart");
            assert!(
                possible.0 <= plausible.0 && plausible.0 < plausible.1 && plausible.1 <= possible.1,
                "{name}"
            );
            assert!(SERIES[..index].iter().all(|other| other.column != series.column), "{name}: its column");
            assert_eq!(series.code.split(':').count(), 3, "{name}: its code names no schema");
            if let OwEndpoint::Timeseries(types) = series.origin {
                assert!(!types.is_empty(), "{name}: OW is asked for nothing");
            }
        }
    }

    #[test]
    fn the_description_of_a_code_names_all_its_series_types() {
        for series in SERIES {
            let name = series.name.split(" (").next().unwrap_or_default().to_lowercase();
            let sentence = patient_description(series.code).unwrap();
            // "Energy of the day's activity" matches by its parts.
            let named = name.split(" of the ").all(|part| sentence.to_lowercase().contains(part));
            assert!(named && sentence.ends_with('.'), "{name}: '{sentence}'");
        }
    }

    #[test]
    fn every_code_is_in_one_group() {
        for series in SERIES {
            let groups = GROUPS.iter().filter(|(_, codes)| codes.contains(&series.code));
            assert_eq!(groups.count(), 1, "{}", series.code);
        }
    }

    #[test]
    fn every_data_source_delivers_known_codes() {
        for code in DATA_SOURCES.iter().flat_map(DataSource::codes) {
            assert!(CODES.iter().any(|known| known.code == code), "{code}");
        }
    }
}
