//! What is kept of a patient, shown to that patient, and to take away.

use bytes::Bytes;
use http::{HeaderValue, header};
use maud::html;
use tokio::sync::mpsc;
use warp::reply::{Reply, Response};

use crate::app::state::App;
use crate::common::time::time_zone_or_utc;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::PatientRef;
use crate::omh::render;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::patient as patients;
use crate::store::privacy::audit;
use crate::store::samples::observation;
use crate::store::samples::observation::Filter;
use crate::web::chart::charts::{Charts, Rows};
use crate::web::chart::overview::Overview;
use crate::web::chart::period::Period;
use crate::web::patient::signed_in::{Patient, page};
use crate::web::request::Visit;
use crate::web::response::Refusal;

/// Pieces that wait for a slow reader; each is a step of the store's reading.
const AHEAD: usize = 2;

/// How the data are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Open mHealth data points, one JSON document per line.
    Omh,
    /// A table with a header line.
    Csv,
}

/// `GET /clients/ow/data`.
pub(crate) async fn show(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (id, now, period) = (patient.id, app.clock.now(), Period::parse(visit.query.get("period")));
    let read = move |db: &_| {
        let who = patients::find(db, PatientRef::Own(id))?;
        let zone = time_zone_or_utc(&who.time_zone);
        let rows = Rows::load(db, id)?;
        let charts = Charts::load(db, &rows, (period, &zone), now)?;
        Ok((Overview::load(db, &rows, id, &zone, now)?, charts))
    };
    let (overview, charts) = app.store.read(read).await?;
    let who = patient.actor();
    app.store.write(move |db| audit::record(db, now, who, "data.view", Some(id), "")).await?;
    let body = html! {
        h1 { "Your data" }
        (overview.table("#"))
        (charts.section("/clients/ow/data?period="))
        h2 { "Take it with you" }
        p { "Everything that is kept of you here:" }
        ul {
            li { a href="/clients/ow/data.csv" download { "As a table (CSV)" } ", for a spreadsheet" }
            li { a href="/clients/ow/data.ndjson" download { "As Open mHealth data points (JSON)" }
                 ", for other programs" }
        }
        p { a.button href="/clients/ow/manage" { "Your choices" } }
    };
    Ok(page(app, "Your data", &body))
}

/// `GET /clients/ow/data.…`: everything, in constant memory.
pub(crate) async fn download(app: &App, patient: &Patient, format: Format) -> Result<Response, Refusal> {
    let (id, now, who) = (patient.id, app.clock.now(), patient.actor());
    app.store.write(move |db| audit::record(db, now, who, "data.download", Some(id), "")).await?;
    let filter = Filter { patient: Some(id), ..Filter::default() };
    let wanted = filter.clone();
    let streams = app.store.read(move |db| observation::streams(db, &wanted)).await?;
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let store = app.store.clone();
    tokio::spawn(async move {
        if let Err(error) = send_all(&store, &streams, &filter, format, &sender).await {
            // The connection is cut, so that half a file is not taken for a whole one.
            let _ = sender.send(Err(std::io::Error::other(error.to_string()))).await;
        }
    });
    let body = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut answer = warp::reply::stream(body).into_response();
    let (kind, name) = match format {
        Format::Omh => ("application/x-ndjson", "attachment; filename=\"my-data.ndjson\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"my-data.csv\""),
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(answer)
}

type Piece = Result<Bytes, std::io::Error>;

/// Sends it step by step; a reader who has gone ends it.
async fn send_all(
    store: &Store,
    streams: &[StreamInfo],
    filter: &Filter,
    format: Format,
    sender: &mpsc::Sender<Piece>,
) -> Result<(), StoreError> {
    let mut text = match format {
        Format::Csv => csv_line(render::CSV_HEADER),
        Format::Omh => Vec::new(),
    };
    for stream in streams {
        let mut after = None;
        loop {
            let (row, wanted) = (stream.id, filter.clone());
            let step = store.read(move |db| observation::step(db, row, after, &wanted)).await?;
            for one in &step {
                text.extend(line(stream, one, format)?);
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
    // Without a single stream the header is all there is.
    let _ = sender.send(Ok(text.into())).await;
    Ok(())
}

fn line(stream: &StreamInfo, one: &Observation, format: Format) -> Result<Vec<u8>, StoreError> {
    match format {
        Format::Csv => render::csv_record(stream, one).map(csv_line),
        Format::Omh => render::omh_document(stream, one).map(|document| (document + "\n").into_bytes()),
    }
    .map_err(|error| StoreError::Other(error.to_string()))
}

fn csv_line<T: AsRef<[u8]>>(record: [T; 13]) -> Vec<u8> {
    let mut line = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = line.write_record(record);
    line.into_inner().unwrap_or_default()
}
