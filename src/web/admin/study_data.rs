//! The download of a study's data set, on the page of the study.

use std::io::Read;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use tokio::sync::{Semaphore, mpsc};
use warp::reply::Reply;

use crate::app::state::App;
use crate::app::study_data;
use crate::common::failure::Failure;
use crate::dataset::request::{Format, Request as DatasetRequest};
use crate::model::study::StudyId;
use crate::web::access::{CONFIRMED_STUDY, Confirmed, Staff, VisibleStudy};
use crate::web::layout::{FormErrors, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, post};

/// Data sets that are made at the same time: each reads the whole study.
static RUNNING: Semaphore = Semaphore::const_new(2);
/// Bytes of a chunk, and chunks that wait for a slow reader.
const CHUNK: usize = 64 * 1024;
const QUEUED_CHUNKS: usize = 2;

pub(crate) fn routes() -> Vec<Route> {
    vec![post("/admin/studies/{study}/data", CONFIRMED_STUDY, download)]
}

/// Renders the form that downloads the data set.
pub(crate) fn render_form(study: StudyId, staff: &Staff) -> Markup {
    let errors = FormErrors::default();
    let since_help = "The number is in the README of an earlier download. Leave it empty for everything.";
    html! {
        h2 #data { "Data set" }
        p.help {
            "Tables for researchers, with a data dictionary. Participants appear under their study numbers. The audit records \
             each download."
        }
        (form(&format!("/admin/studies/{study}/data"), staff.token(), &html! {
            (errors.select("format", "Format", "Parquet is smaller and has types.", &html! {
                option value="csv" selected { "CSV: for Excel, SPSS and R" }
                option value="parquet" { "Parquet: for pandas, DuckDB and R" }
            }))
            (errors.field("since", "Only what came after commit (optional)", since_help, "", "text"))
            div.actions { button type="submit" { "Download" } }
        }))
    }
}

async fn download(app: &App, request: &Request, visible: &Confirmed<VisibleStudy>) -> HandlerResult {
    let (staff, study) = (visible.staff(), visible.study());
    let fields = request.form();
    let format = if fields.get("format") == "parquet" { Format::Parquet } else { Format::Csv };
    let since =
        Some(fields.get("since").trim()).filter(|since| !since.is_empty()).map(str::parse).transpose();
    let since =
        since.map_err(|_| Refusal::bad("The commit is a number. An earlier download's README has it."))?;
    if since.is_some() && staff.account().is_of_jhe() {
        // Whom an account of JHE may see changes at JHE, without a commit here.
        return Err(Refusal::bad(
            "An account of JHE downloads the complete data set. Leave the commit empty.",
        ));
    }
    let Ok(running) = RUNNING.try_acquire() else {
        let text = "Two data sets are being made. Please try again in a minute.";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Please wait", text));
    };
    let (id, study_name, now) = (study.id, study.terms.name.clone(), app.clock.now());
    let wanted = DatasetRequest { study: id, study_name, format, now, since, visible_to: staff.visible_to() };
    let directory = study_data::temporary_directory(app.store.directory())?;
    let (store, actor, target) = (app.store.clone(), staff.actor(), directory.path().join("study.zip"));
    // A task of its own: it ends with its permit and its files, also if the browser has gone.
    let making = tokio::spawn(async move {
        let made = study_data::write(&store, wanted, target.clone(), actor).await;
        drop(running);
        made?;
        // The open file stays readable after its name is gone, however long the reader takes.
        let file = std::fs::File::open(&target);
        drop(directory);
        file.map_err(|error| Failure::failed(format!("{}: {error}", target.display()), ""))
    });
    let made = making.await.map_err(|error| Failure::failed(error.to_string(), ""))?;
    let file = made.map_err(|failure| {
        if failure.is_usage() {
            Refusal::bad(format!("{}: {}.", failure.message, failure.remedy))
        } else {
            failure.into()
        }
    })?;
    let mut answer = warp::reply::stream(stream(file)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let name = format!("attachment; filename=\"study-{id}.zip\"");
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(|_| Refusal::not_found())?);
    Ok(answer)
}

/// Streams a file in constant memory.
fn stream(
    mut file: std::fs::File,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (sender, mut receiver) = mpsc::channel(QUEUED_CHUNKS);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).map(|bytes| {
                chunk.truncate(bytes);
                Bytes::from(chunk)
            });
            let is_failed = read.is_err();
            if read.as_ref().is_ok_and(Bytes::is_empty) || sender.blocking_send(read).is_err() || is_failed {
                return;
            }
        }
    });
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}
