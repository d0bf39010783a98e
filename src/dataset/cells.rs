//! Cells of observations and nights, in the order of `columns`.

use crate::dataset::night::Night;
use crate::dataset::table::Cell;
use crate::model::activity_context::ActivityContext;
use crate::model::catalog::method::{Method, WearerState};
use crate::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use crate::model::sample_details::{Intensity, Measure};
use crate::store::samples::dataset::DataRow;

/// Pushes the cells of `columns::value_columns`.
pub(crate) fn push_values<'a>(cells: &mut Vec<Cell<'a>>, series: &SeriesType, row: &'a DataRow) {
    let details = row.details.as_ref();
    let measure = |measure| Cell::number(details.and_then(|details| details.measure(measure)));
    match series.body {
        OmhBody::BloodPressure => cells.extend([Cell::Number(row.value), measure(Measure::Diastolic)]),
        OmhBody::Activity if series.origin == OwEndpoint::Workouts => {
            let kind = details.and_then(|details| details.name.as_deref()).unwrap_or("unknown");
            let intensity = details.and_then(|details| details.intensity).map_or("", Intensity::as_str);
            cells.extend([Cell::Text(kind), Cell::text(intensity), measure(Measure::Duration)]);
            cells.extend([measure(Measure::Distance), measure(Measure::Energy)]);
        }
        OmhBody::Activity => cells.extend([measure(Measure::Energy), measure(Measure::Distance)]),
        _ => cells.push(Cell::Number(row.value)),
    }
}

pub(crate) fn wearer(method: Method, row: &DataRow) -> &'static str {
    match (method.wearer, row.context) {
        (Some(WearerState::AtRest), _) => "at rest",
        (Some(WearerState::Asleep), _) => "during sleep",
        (None, context) => context.map_or("", ActivityContext::as_str),
    }
}

pub(crate) fn quality(series: &SeriesType, method: Method, row: &DataRow) -> &'static str {
    let diastolic = row.details.as_ref().and_then(|details| details.measure(Measure::Diastolic));
    series.quality(method, std::iter::once(row.value).chain(diastolic))
}

/// Pushes the cells of `columns::sleep_table` between its times and its origin.
pub(crate) fn push_night(cells: &mut Vec<Cell<'_>>, night: &Night) {
    let measure = |measure| Cell::number(night.measures.get(&measure).copied());
    cells.extend([
        night.is_main_sleep.map_or(Cell::Null, |is_main| Cell::Boolean(!is_main)),
        Cell::number(night.asleep),
        Cell::number(night.in_bed),
        measure(Measure::LightSleep),
        measure(Measure::DeepSleep),
        measure(Measure::RemSleep),
        measure(Measure::Awake),
        measure(Measure::Latency),
        measure(Measure::Efficiency),
        Cell::Text(if night.is_suspect { "suspect" } else { "ok" }),
    ]);
}
