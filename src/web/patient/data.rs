//! A patient's own data: shown, and as a download.

use bytes::Bytes;
use http::{HeaderValue, header};
use maud::html;
use tokio::sync::mpsc;
use warp::reply::Reply;

use crate::app::{repeated_events::AuditEvent, state::App};
use crate::common::{csv_line::csv_line, time::time_zone_or_utc};
use crate::model::audit_detail::AuditDetail;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::{account::VisibleTo, patient::PatientRef, study::Enrolment};
use crate::omh::render;
use crate::store::people::{patient as patients, study};
use crate::store::samples::observation::{self, ObservationFilter};
use crate::store::{engine::store::Store, error::StoreError};
use crate::web::chart::charted_series::ChartedSeries;
use crate::web::chart::charts::Charts;
use crate::web::chart::overview::MeasurementOverview;
use crate::web::chart::period::{Period, Window, parse_window};
use crate::web::patient_access::{CHOICES, PATIENT, SignedInPatient};
use crate::web::route::{Route, get};
use crate::web::{
    patient::signed_in::page_response,
    request::Request,
    response::{HandlerResult, Refusal},
};

/// Chunks that wait for a slow reader; each is one step of reading the store.
const QUEUED_CHUNKS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DownloadFormat {
    /// Open mHealth data points, one JSON document per line.
    Omh,
    /// A table with a header line.
    Csv,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/clients/ow/data", PATIENT, show),
        get("/clients/ow/data.ndjson", PATIENT, download),
        get("/clients/ow/data.csv", PATIENT, download),
    ]
}

async fn show(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, now, wanted) = (patient.id(), app.clock.now(), parse_window(&request.query, Period::Week));
    let texts = patient.reader().texts;
    let read = move |db: &_| {
        let who = patients::find(db, PatientRef::Own(id))?;
        let zone = time_zone_or_utc(&who.time_zone);
        let rows = ChartedSeries::load(db, VisibleTo::Everybody, id)?;
        let overview = MeasurementOverview::load(db, VisibleTo::Everybody, &rows, id, (&zone, now))?;
        let charts = Charts::load(db, &rows, Window::new(wanted, &zone, now, texts), &overview)?;
        Ok((zone, overview, charts))
    };
    let (zone, overview, charts) = app.store.read(read).await?;
    record_read(app, patient, "data.view").await?;
    let reader = patient.reader();
    let body = html! {
        h1 { (reader.get("data-title")) }
        (overview.render(reader.texts, "#", &zone))
        (charts.render("/clients/ow/data", None))
        h2 { (reader.get("download")) }
        p { (reader.get("download-text")) }
        ul {
            li { a href="/clients/ow/data.csv" download { (reader.get("download-csv")) } }
            li { a href="/clients/ow/data.ndjson" download { (reader.get("download-json")) } }
        }
        p { a.button href=(CHOICES) { (reader.get("choices-title")) } }
    };
    Ok(page_response(app, reader, &reader.get("data-title"), &body))
}

async fn record_read(app: &App, patient: &SignedInPatient, action: &'static str) -> Result<(), Refusal> {
    let (actor, detail) = (patient.actor(), AuditDetail::default());
    let event = AuditEvent { actor, action, patient: Some(patient.id()), detail };
    Ok(app.repeated_events.record(&app.store, event, app.clock.now()).await?)
}

/// Sends everything, in constant memory.
async fn download(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let format = if request.path.contains(".csv") { DownloadFormat::Csv } else { DownloadFormat::Omh };
    let id = patient.id();
    record_read(app, patient, "data.download").await?;
    let filter = ObservationFilter { patient: Some(id), ..ObservationFilter::default() };
    let stream_filter = filter.clone();
    let streams =
        app.store.read(move |db| observation::list_streams(db, VisibleTo::Everybody, &stream_filter)).await?;
    let (sender, mut receiver) = mpsc::channel(QUEUED_CHUNKS);
    let store = app.store.clone();
    tokio::spawn(async move {
        if let Err(error) = send_all(&store, &streams, &filter, format, &sender).await {
            // Cuts the connection, so that nobody takes half a file for a complete one.
            let _ = sender.send(Err(std::io::Error::other(error.to_string()))).await;
        }
    });
    let body = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut answer = warp::reply::stream(body).into_response();
    let (kind, name) = match format {
        DownloadFormat::Omh => ("application/x-ndjson", "attachment; filename=\"my-data.ndjson\""),
        DownloadFormat::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"my-data.csv\""),
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(answer)
}

type Chunk = Result<Bytes, std::io::Error>;

/// Sends the data step by step until the reader has gone.
async fn send_all(
    store: &Store,
    streams: &[StreamInfo],
    filter: &ObservationFilter,
    format: DownloadFormat,
    sender: &mpsc::Sender<Chunk>,
) -> Result<(), StoreError> {
    let mut text = match format {
        DownloadFormat::Csv => csv_line(render::CSV_HEADER),
        DownloadFormat::Omh => Vec::new(),
    };
    for stream in streams {
        let (patient, code) = (stream.patient, stream.code.clone());
        let enrolments = store.read(move |db| study::list_enrolments(db, patient, &code, None)).await?;
        let mut after = None;
        loop {
            let (row, stream_filter) = (stream.id, filter.clone());
            let step = store.read(move |db| observation::list_page(db, row, after, &stream_filter)).await?;
            for one in &step {
                text.extend(line(stream, one, &enrolments, format)?);
            }
            if sender.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
                return Ok(());
            }
            match step.last() {
                Some(last) => after = Some(last.instant),
                None => break,
            }
        }
    }
    // A patient without data gets the header alone.
    let _ = sender.send(Ok(text.into())).await;
    Ok(())
}

fn line(
    stream: &StreamInfo,
    one: &Observation,
    enrolments: &[Enrolment],
    format: DownloadFormat,
) -> Result<Vec<u8>, StoreError> {
    match format {
        DownloadFormat::Csv => render::csv_record(stream, one, enrolments).map(csv_line),
        DownloadFormat::Omh => {
            render::omh_line(stream, one, enrolments).map(|document| (document + "\n").into_bytes())
        }
    }
    .map_err(|error| StoreError::Other(error.to_string()))
}
