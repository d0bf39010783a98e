//! The series types that a patient shares, and their streams.

use maud::{Markup, html};
use rusqlite::Connection;

use crate::i18n::texts::Texts;
use crate::model::account::VisibleTo;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::{chart_data::ChartStream, patient::PatientId};
use crate::store::{error::StoreError, people::consent, samples::chart as store};
use crate::web::chart::words::name_series;

/// Series types that come first where not all have room; the others follow in the order of the catalogue.
const FIRST: &[&str] =
    &["heart_rate", "steps", "sleep_stage_summary", "resting_heart_rate", "oxygen_saturation"];

/// Names that a sentence lists.
const MOST_NAMES: usize = 12;

/// The series types that a patient shares and an account may see.
pub(crate) struct ChartedSeries {
    /// Series types with data, each with its streams.
    pub(crate) present: Vec<(&'static SeriesType, Vec<ChartStream>)>,
    /// Series types with an active consent and no data yet.
    pub(crate) empty: Vec<&'static SeriesType>,
}

impl ChartedSeries {
    pub(crate) fn load(db: &Connection, viewer: VisibleTo, patient: PatientId) -> Result<Self, StoreError> {
        let all_streams = store::list_streams(db, viewer, patient)?;
        let entries = consent::list(db, viewer, patient)?.into_iter();
        let consented: Vec<String> =
            entries.filter(|entry| entry.grant.withdrawn.is_none()).map(|entry| entry.scope.code).collect();
        let (mut present, mut empty) = (Vec::new(), Vec::new());
        for series in SERIES {
            let streams: Vec<ChartStream> =
                all_streams.iter().filter(|one| one.series_type == series.series_type).cloned().collect();
            if !streams.is_empty() {
                present.push((series, streams));
            } else if consented.iter().any(|code| code == series.code) {
                empty.push(series);
            }
        }
        Ok(Self { present, empty })
    }

    /// Keeps one series type only; returns `None` if it has no data.
    pub(crate) fn only(mut self, series_type: &str) -> Option<Self> {
        self.present.retain(|(series, _)| series.series_type == series_type);
        self.empty.clear();
        (!self.present.is_empty()).then_some(self)
    }

    /// Returns the series types that say most, at most `count`. Of the four about one night, the stages say most.
    pub(crate) fn choose(&self, count: usize) -> Self {
        let is_night = |series: &SeriesType| series.origin == OwEndpoint::Sleep;
        let has_stages = self.present.iter().any(|(series, _)| series.body == OmhBody::SleepStages);
        let mut present = self.present.clone();
        present.retain(|(series, _)| {
            !is_night(series)
                || series.body == OmhBody::SleepStages
                || (!has_stages && series.body == OmhBody::SleepDuration)
        });
        present.sort_by_key(|(series, _)| {
            FIRST.iter().position(|first| *first == series.series_type).unwrap_or(FIRST.len())
        });
        present.truncate(count);
        Self { present, empty: self.empty.clone() }
    }
}

/// Renders the names of the series types that have a consent and no data.
pub(crate) fn render_series_without_data(texts: Texts, rows: &[&SeriesType]) -> Markup {
    let names: Vec<String> = rows.iter().map(|series| name_series(texts, series)).take(MOST_NAMES).collect();
    let values = [("names", names.join(", ").into()), ("more", (rows.len() - names.len()).into())];
    html! { @if !names.is_empty() { p.fine { (texts.get_with("chart-without-data", &values)) } } }
}
