//! A search for observations, parsed from FHIR's search parameters.

use crate::fhir::base::Base;
use crate::fhir::cursor::Cursor;
use crate::fhir::dates::{self, ALWAYS};
use crate::fhir::parameters::{
    GivenParameter, Paging, ParameterError, ParsedParameters, SOURCE, Token, is_own_source, narrow,
    parse_ids, parse_patients, parse_study, parse_tokens,
};
use crate::model::catalog::{loinc, series};
use crate::model::consent_intervals::Interval;
use crate::model::observation::StreamInfo;
use crate::model::study::StudyId;

/// The names of the parameters, with FHIR's types, as the `CapabilityStatement` lists them.
pub const PARAMETERS: &[(&str, &str)] = &[
    ("_id", "token"),
    ("patient", "reference"),
    ("subject", "reference"),
    ("code", "token"),
    ("category", "token"),
    ("date", "date"),
    ("_lastUpdated", "date"),
    ("_source", "uri"),
];

/// The order of the observations of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Patient by patient, each newest first, as JHE answers for one patient; the fastest.
    ByPatient,
    /// All patients together, by the time of the measurement.
    OldestFirst,
    NewestFirst,
}

/// A search for observations.
#[derive(Debug, Clone)]
pub struct ObservationQuery {
    pub base: Base,
    /// None for all patients; sorted.
    pub patients: Option<Vec<i64>>,
    pub ids: Option<Vec<String>>,
    /// Each entry is a list of alternatives; empty for all codes.
    pub codes: Vec<Vec<Token>>,
    pub categories: Vec<Vec<Token>>,
    /// The start of the measurement.
    pub measured: Interval,
    pub updated: Interval,
    pub order: Order,
    pub cursor: Option<Cursor>,
    /// A study that is named and that has to be the token's.
    pub study: Option<StudyId>,
    /// False if only resources of another source are wanted.
    pub is_own_source: bool,
}

impl ObservationQuery {
    /// Returns a search for all observations.
    pub fn all(base: Base) -> Self {
        Self {
            base,
            patients: None,
            ids: None,
            codes: Vec::new(),
            categories: Vec::new(),
            measured: ALWAYS,
            updated: ALWAYS,
            order: Order::ByPatient,
            cursor: None,
            study: None,
            is_own_source: true,
        }
    }

    /// Parses the parameters of a search.
    pub fn parse(
        base: Base,
        pairs: &[(String, String)],
        is_lenient: bool,
    ) -> Result<(Self, Paging, ParsedParameters), ParameterError> {
        let mut query = Self::all(base);
        let (paging, parsed) = Paging::parse(pairs, is_lenient, |given| query.accept(given))?;
        query.cursor = match &paging.cursor {
            Some(text) => Some(Cursor::decode(text).ok_or_else(ParameterError::bad_cursor)?),
            None => None,
        };
        Ok((query, paging, parsed))
    }

    fn accept(&mut self, given: &GivenParameter<'_>) -> Result<bool, ParameterError> {
        let GivenParameter { name, value } = *given;
        let date = || dates::parse(value).map_err(|why| given.bad(&why));
        match name {
            "patient" | "subject" | "patient:Patient" | "subject:Patient" => {
                narrow(&mut self.patients, parse_patients(given)?);
            }
            "patient._has:Group:member:_id" | "subject._has:Group:member:_id" => {
                self.study = Some(parse_study(given)?);
            }
            "_id" => narrow(&mut self.ids, parse_ids(given)),
            "code" => self.codes.push(parse_tokens(given)?),
            "category" => self.categories.push(parse_tokens(given)?),
            "date" => self.measured = dates::intersect(self.measured, date()?),
            "_lastUpdated" => self.updated = dates::intersect(self.updated, date()?),
            "_sort" => {
                self.order = match value {
                    // Ids have no meaning: whoever sorts by them wants an order that does not change.
                    "_id" => Order::ByPatient,
                    "date" => Order::OldestFirst,
                    "-date" => Order::NewestFirst,
                    _ => return Err(given.bad("sort by date, -date or _id")),
                };
            }
            _ if SOURCE.contains(&name) => self.is_own_source &= is_own_source(given),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns true if the observations of a stream have one of the codes and categories.
    pub fn accepts(&self, stream: &StreamInfo) -> bool {
        let known = series::find(&stream.series_type);
        let clinical = known.map(|series| loinc::find(series.series_type, stream.daily_total));
        let own = std::iter::once((stream.code_system.as_str(), stream.code.as_str()));
        let loinc_codes = clinical.iter().flat_map(|codes| codes.loinc).map(|one| (loinc::SYSTEM, one.code));
        let codes: Vec<(&str, &str)> = own.chain(loinc_codes).collect();
        let category = clinical.and_then(|codes| codes.category);
        let categories: Vec<(&str, &str)> =
            category.into_iter().map(|(code, _)| (loinc::CATEGORY_SYSTEM, code)).collect();
        let matches = |lists: &[Vec<Token>], codes: &[(&str, &str)]| {
            lists.iter().all(|any| any.iter().any(|token| codes.iter().any(|code| token.matches(*code))))
        };
        matches(&self.codes, &codes) && matches(&self.categories, &categories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stream_key::StreamKey;

    fn parse(query: &str) -> Result<ObservationQuery, ParameterError> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        ObservationQuery::parse(Base::R4, &pairs, false).map(|(query, ..)| query)
    }

    fn stream(series_type: &'static str) -> StreamInfo {
        let (provider, source, device) = ("oura".to_owned(), "oura".to_owned(), String::new());
        let key = StreamKey { series_type, provider, source, device, daily_total: false };
        StreamInfo::unstored(&key, "s", "ow:normalized")
    }

    #[test]
    fn a_code_is_found_by_either_of_its_systems() {
        for (query, expected) in [
            ("", true),
            ("code=omh:heart-rate:2.0", true),
            ("code=https://w3id.org/openmhealth|omh:heart-rate:2.0", true),
            ("code=http://loinc.org|8867-4", true),
            ("code=8310-5,8867-4", true),
            ("code=http://loinc.org|", true),
            ("code=8310-5", false),
            ("code=http://loinc.org|omh:heart-rate:2.0", false),
            ("code=|8867-4", false),
            ("category=vital-signs", true),
            ("category=activity", false),
            ("code=8867-4&category=activity", false),
            ("code=unheard-of", false),
        ] {
            assert_eq!(parse(query).unwrap().accepts(&stream("heart_rate")), expected, "{query}");
        }
    }

    #[test]
    fn repeated_dates_and_patients_narrow_the_search() {
        let query = parse("date=ge2026-11-01&date=lt2026-11-03&patient=2,1&patient=Patient/2").unwrap();
        assert_eq!(query.measured.from.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(query.measured.until.to_string(), "2026-11-03T00:00:00Z");
        assert_eq!(query.patients, Some(vec![2]));
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, named) in [
            ("nonsense=1", "nonsense"),
            ("date=tomorrow", "date"),
            ("patient=ada", "patient"),
            ("code=a|b|c", "code"),
            ("code=", "code"),
            ("_sort=value", "_sort"),
            ("_count=many", "_count"),
            ("_cursor=x", "_cursor"),
            ("_page=2", "_page"),
            ("_total=some", "_total"),
            ("_summary=text", "_summary"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.0.contains(named), "{query}: {}", error.0);
        }
    }
}
