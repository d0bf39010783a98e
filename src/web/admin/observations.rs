//! The list of a patient's observations, newest first, with data source and earlier values.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::account::{Role, VisibleTo};
use crate::model::catalog::{series, series_type::SeriesType, source};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{PatientId, PatientRef};
use crate::omh::{render, show};
use crate::store::people::visibility;
use crate::store::samples::observation::{self, ObservationFilter};
use crate::store::{error::StoreError, people::patient as patients};
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::staff::{PAGE, record_view, render_staff_page, split_page};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{foreign, format_local, local, older, table_head};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

/// An observation with its stream and its earlier values.
pub(crate) struct ObservationRow {
    stream: StreamInfo,
    observation: Observation,
    /// Earlier values, each with the time of its replacement.
    replaced: Vec<(Observation, Timestamp)>,
}

/// Lists a patient's newest visible observations, beginning after `before` (instant and stream).
pub(crate) fn list_newest(
    db: &rusqlite::Connection,
    viewer: VisibleTo,
    id: PatientId,
    before: Option<(Timestamp, i64)>,
    limit: usize,
) -> Result<Vec<ObservationRow>, StoreError> {
    let filter = ObservationFilter { patient: Some(id), ..ObservationFilter::default() };
    let streams = observation::list_streams(db, viewer, &filter)?;
    let rows = observation::list_newest(db, &streams, before, limit)?.into_iter();
    let rows = rows.map(|(place, observation)| {
        let stream = streams[place].clone();
        let replaced = match observation.revision {
            0 => Vec::new(),
            _ => observation::list_revisions(db, stream.id, observation.instant)?,
        };
        Ok(ObservationRow { stream, observation, replaced })
    });
    rows.collect()
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/patients/{patient}/observations", VISIBLE_PATIENT, show)]
}

async fn show(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let before = parse_position(request.query.get("before"));
    let visible_to = staff.visible_to();
    let read = move |db: &_| {
        let zone = patients::find(db, PatientRef::Own(id))?.time_zone;
        Ok((
            zone,
            visibility::find_patient_label(db, visible_to, id)?,
            list_newest(db, visible_to, id, before, PAGE as usize + 1)?,
        ))
    };
    let (zone, name, observations) = app.store.read(read).await?;
    record_view(app, staff, "patient.view", Some(id)).await?;
    let (observations, more) = split_page(observations);
    let next = observations.last().filter(|_| more).map(|last| {
        let (micros, stream) = (last.observation.instant.micros(), last.stream.id);
        format!("/admin/patients/{id}/observations?before={micros}.{stream}")
    });
    let zone = time_zone_or_utc(&zone);
    let body = html! {
        h1 { "Observations of " (name) }
        p { a href={ "/admin/patients/" (id) } { "Back to the patient" } }
        (render_table(&zone, &observations, patient.may(Role::Coordinator)))
        (older(next))
    };
    Ok(render_staff_page(app, staff, "/admin/patients", "Observations", &body))
}

/// Parses `<microseconds>.<stream id>`; anything else means the beginning of the list.
fn parse_position(text: &str) -> Option<(Timestamp, i64)> {
    let (instant, stream) = text.split_once('.')?;
    Some((Timestamp::from_micros(instant.parse().ok()?), stream.parse().ok()?))
}

/// Renders the table, with times in the patient's time zone. Owners write their names into the texts of devices.
pub(crate) fn render_table(zone: &TimeZone, observations: &[ObservationRow], sees_names: bool) -> Markup {
    html! {
        @if observations.is_empty() {
            p.empty { "No data yet. Data arrive once the patient has agreed, a device is connected, and OW has data." }
        } @else {
            table {
                (table_head(&[
                    Text("Time"), Number("Value"), Text("Type"), Text("Data source"),
                    Text("Identifier"), Text("Earlier values"),
                ]))
                tbody { @for one in observations { (render_row(zone, one, sees_names)) } }
            }
        }
    }
}

fn render_row(zone: &TimeZone, one: &ObservationRow, sees_names: bool) -> Markup {
    let ObservationRow { stream, observation, replaced } = one;
    let series = series::find(&stream.series_type);
    html! {
        tr {
            th scope="row" data-label="Time" {
                time datetime=(observation.instant) { (format_local(zone, observation.instant, "%-d %b %Y, %H:%M:%S %Z")) }
            }
            td.number data-label="Value" {
                (show::format_value(stream, observation))
                @if let Some(context) = observation.context { " " span.fine { (context.as_str()) } }
                @if observation.details.as_ref().is_some_and(|details| details.deleted) {
                    " " span.fine { "deleted at the provider" }
                }
            }
            td data-label="Type" { span.type {
                (series.map_or(stream.display.as_str(), |series| series.name))
                @if stream.daily_total && !series.is_some_and(SeriesType::is_by_day) { ", of the day" }
                " " code { (stream.code) }
            } }
            td data-label="Data source" {
                span {
                    (foreign(source::data_source_name(&stream.provider)))
                    @if sees_names && !stream.device.is_empty() { ", " (foreign(&stream.device)) }
                }
            }
            td.id data-label="Identifier" { span { (stream.system) " " (render::identifier_value(stream, observation)) } }
            td data-label="Earlier values" {
                @if replaced.is_empty() { "none" } @else {
                    ul.plain { @for (before, at) in replaced {
                        li { (show::format_value(stream, before)) ", until " (local(zone, *at)) }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_list_is_read_or_ignored() {
        assert_eq!(parse_position("17.4"), Some((Timestamp::from_micros(17), 4)));
        for wrong in ["", "17", "x.4", "17.x"] {
            assert_eq!(parse_position(wrong), None, "{wrong}");
        }
    }
}
