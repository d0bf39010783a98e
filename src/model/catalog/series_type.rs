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

    /// Whether each sample speaks for a day or an event, and never for an instant in it.
    pub fn is_by_day(&self) -> bool {
        !matches!(self.origin, Origin::Timeseries(_))
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

/// Where OW tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `/timeseries`, under these types: several where it takes a sample of each to make a data point.
    Timeseries(&'static [&'static str]),
    /// `/events/sleep`: the nights and naps.
    Sleep,
    /// `/events/workouts`.
    Workouts,
    /// `/summaries/activity`: a row a day.
    Activity,
}

impl Origin {
    /// Whether both come in one answer of OW's.
    pub fn shares_request(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// The shape of the data point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// One value under this key, in this unit of the schema's.
    Value(&'static str, &'static str),
    /// Systolic and diastolic pressure.
    BloodPressure,
    /// Steps over an interval.
    StepCount,
    /// The time asleep.
    SleepDuration,
    /// A sleep, with what is known of it.
    SleepEpisode,
    /// How long each stage of a sleep was.
    SleepStages,
    /// The time in bed.
    TimeInBed,
    /// A workout, or the activity of a day.
    Activity,
}

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// Mean, least and greatest of each stretch of time.
    Range,
    /// The sum of each stretch of time.
    Sum,
}

/// How a value is shown to people: in this unit, of which one is so many of the store's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// The unit.
    pub unit: &'static str,
    /// How many of the store's units one of these is.
    pub per: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::code::CODES;
    use crate::model::catalog::code::GROUPS;
    use crate::model::catalog::code::covers;
    use crate::model::catalog::series::SERIES;

    use crate::model::catalog::source::DATA_SOURCES;

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
    fn the_sentence_of_a_code_names_everything_that_carries_it() {
        for series in SERIES {
            let name = series.name.split(" (").next().unwrap_or_default().to_lowercase();
            let sentence = covers(series.code).unwrap();
            // What a day's activity comes to is told by its parts.
            let named = name.split(" of the ").all(|part| sentence.to_lowercase().contains(part));
            assert!(named && sentence.ends_with('.'), "{name}: '{sentence}'");
        }
    }

    #[test]
    fn every_code_stands_in_one_group() {
        for series in SERIES {
            let groups = GROUPS.iter().filter(|(_, codes)| codes.contains(&series.code));
            assert_eq!(groups.count(), 1, "{}", series.code);
        }
    }

    #[test]
    fn every_data_source_delivers_seeded_codes() {
        for code in DATA_SOURCES.iter().flat_map(|source| source.codes) {
            assert!(CODES.iter().any(|known| known.code == *code), "{code}");
        }
    }
}
