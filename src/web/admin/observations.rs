//! A patient's observations, newest first, each with where it came from and what it was before.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::catalog::{series, series_type::SeriesType, source};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{PatientId, PatientRef};
use crate::omh::{render, show};
use crate::store::samples::observation::{self, ObservationFilter};
use crate::store::{error::StoreError, people::patient as patients};
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::staff::{PAGE, cut, note_view, page};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{format_local, local, older, table_head};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

/// An observation with all that is known of it.
pub(crate) struct Placed {
    stream: StreamInfo,
    observation: Observation,
    /// What it was before, each with the time at which it was replaced.
    replaced: Vec<(Observation, Timestamp)>,
}

/// A patient's newest observations before a place in that order.
pub(crate) fn newest(
    db: &rusqlite::Connection,
    id: PatientId,
    before: Option<(Timestamp, i64)>,
    limit: usize,
) -> Result<Vec<Placed>, StoreError> {
    let filter = ObservationFilter { patient: Some(id), ..ObservationFilter::default() };
    let streams = observation::list_streams(db, &filter)?;
    let rows = observation::list_newest(db, &streams, before, limit)?.into_iter();
    let placed = rows.map(|(place, observation)| {
        let stream = streams[place].clone();
        let replaced = match observation.revision {
            0 => Vec::new(),
            _ => observation::list_revisions(db, stream.id, observation.instant)?,
        };
        Ok(Placed { stream, observation, replaced })
    });
    placed.collect()
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/patients/{patient}/observations", VISIBLE_PATIENT, show)]
}

async fn show(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let before = read_place(request.query.get("before"));
    let read = move |db: &_| {
        let who = patients::find(db, PatientRef::Own(id))?;
        Ok((who, newest(db, id, before, PAGE as usize + 1)?))
    };
    let (who, observations) = app.store.read(read).await?;
    note_view(app, staff, "patient.view", Some(id)).await?;
    let (observations, more) = cut(observations);
    let next = observations.last().filter(|_| more).map(|last| {
        let (micros, stream) = (last.observation.instant.micros(), last.stream.id);
        format!("/admin/patients/{id}/observations?before={micros}.{stream}")
    });
    let zone = time_zone_or_utc(&who.time_zone);
    let body = html! {
        h1 { "Observations of " (who.name) }
        p { a href={ "/admin/patients/" (id) } { "Back to the patient" } }
        (table(&zone, &observations))
        (older(next))
    };
    Ok(page(app, staff, "/admin/patients", "Observations", &body))
}

/// `<microseconds>.<row of the stream>`; anything else is the beginning.
fn read_place(text: &str) -> Option<(Timestamp, i64)> {
    let (instant, stream) = text.split_once('.')?;
    Some((Timestamp::from_micros(instant.parse().ok()?), stream.parse().ok()?))
}

/// A table of observations, with the times where the patient lives.
pub(crate) fn table(zone: &TimeZone, observations: &[Placed]) -> Markup {
    html! {
        @if observations.is_empty() {
            p.empty { "Nothing has arrived yet. It does once the patient has agreed, is connected, and OW has data." }
        } @else {
            table {
                (table_head(&[
                    Text("Time"), Number("Value"), Text("Type"), Text("Data source"),
                    Text("Identifier"), Text("Earlier values"),
                ]))
                tbody { @for one in observations { (row(zone, one)) } }
            }
        }
    }
}

fn row(zone: &TimeZone, one: &Placed) -> Markup {
    let Placed { stream, observation, replaced } = one;
    let series = series::find(&stream.series_type);
    html! {
        tr {
            th scope="row" data-label="Time" {
                time datetime=(observation.instant) { (format_local(zone, observation.instant, "%-d %b %Y, %H:%M:%S %Z")) }
            }
            td.number data-label="Value" {
                (show::format_value(stream, observation))
                @if let Some(context) = observation.context { " " span.fine { (context.as_str()) } }
            }
            td data-label="Type" { span.type {
                (series.map_or(stream.display.as_str(), |series| series.name))
                @if stream.daily_total && !series.is_some_and(SeriesType::is_by_day) { ", of the day" }
                " " code { (stream.code) }
            } }
            td data-label="Data source" {
                span {
                    (source::data_source_name(&stream.provider))
                    @if !stream.device.is_empty() { ", " (stream.device) }
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
        assert_eq!(read_place("17.4"), Some((Timestamp::from_micros(17), 4)));
        for wrong in ["", "17", "x.4", "17.x"] {
            assert_eq!(read_place(wrong), None, "{wrong}");
        }
    }
}
