//! The page of a study's data, and the download of its data set.

use http::{HeaderValue, StatusCode, header};
use maud::html;
use tokio::sync::Semaphore;

use crate::app::state::App;
use crate::app::study_data;
use crate::common::{failure::Failure, time::time_zone_or_utc};
use crate::dataset::request::{Format, Request as DatasetRequest};
use crate::model::account::Role;
use crate::store::people::{api_token, download};
use crate::web::access::{CONFIRMED_STUDY, Confirmed, VISIBLE_STUDY, VisibleStudy};
use crate::web::admin::study::{frame::render_study_page, tokens};
use crate::web::layout::Column::Text;
use crate::web::layout::{FormErrors, ago, form, local_text, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, stream_file};
use crate::web::route::{Route, get, post};

/// Data sets that are made at the same time: each reads the whole study.
static RUNNING: Semaphore = Semaphore::const_new(2);
/// Downloads that the page lists.
const SHOWN: u32 = 10;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies/{study}/data", VISIBLE_STUDY, show),
        post("/admin/studies/{study}/data", CONFIRMED_STUDY, download),
    ]
}

async fn show(app: &App, _: &Request, visible: &VisibleStudy) -> HandlerResult {
    if !visible.may(Role::DataManager) {
        let body = html! { p.empty { "Data managers of the study take its data." } };
        return render_study_page(app, visible, "/data", None, body).await;
    }
    let (study, now, errors) = (visible.study().id, app.clock.now(), FormErrors::default());
    let read = move |db: &_| Ok((download::list(db, study, SHOWN)?, api_token::list_of_study(db, study)?));
    let (downloads, tokens) = app.store.read(read).await?;
    // Whom an account of JHE may see changes at JHE, without a commit here.
    let offered = if visible.staff().account().is_of_jhe() { &[] } else { downloads.as_slice() };
    let zone = time_zone_or_utc(&visible.study().terms.time_zone);
    let body = html! {
        h2 { "Data set" }
        p.help {
            "Tables for researchers, with a data dictionary. Participants appear under their study numbers."
        }
        (form(&format!("/admin/studies/{study}/data"), visible.staff().token(), &html! {
            (errors.select("since", "Which data", "", &html! {
                option value="" selected { "Everything" }
                @for one in offered {
                    option value=(one.last_commit) { "What arrived since " (local_text(&zone, one.at)) @if let Some(by) = &one.by { ", as " (by) " has it" } }
                }
            }))
            (errors.select("format", "Format", "Parquet is smaller and has types.", &html! {
                option value="csv" selected { "CSV: for Excel, SPSS and R" }
                option value="parquet" { "Parquet: for pandas, DuckDB and R" }
            }))
            div.actions {
                button type="submit" { "Download" }
                span.fine { "The download begins once all files are written. With millions of samples this takes minutes." }
            }
        }))
        h2 { "Downloads" }
        @if downloads.is_empty() { p.empty { "Nobody has downloaded these data yet." } } @else {
            table {
                (table_head(&[Text("When"), Text("Who"), Text("What")]))
                tbody { @for one in &downloads { tr {
                    th scope="row" data-label="When" { (ago(now, Some(one.at))) }
                    td data-label="Who" { (one.by.as_deref().unwrap_or("command line")) }
                    td data-label="What" {
                        @match one.since { None => "everything", Some(since) => { "what arrived after commit " (since) } }
                        " to commit " (one.last_commit)
                    }
                } } }
            }
        }
        (tokens::render(visible, &tokens, &zone, &app.live.config().public_base()))
    };
    render_study_page(app, visible, "/data", None, body).await
}

async fn download(app: &App, request: &Request, visible: &Confirmed<VisibleStudy>) -> HandlerResult {
    let (staff, study) = (visible.staff(), visible.study());
    let fields = request.form();
    let format = match fields.get("format") {
        "" | "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        _ => return Err(Refusal::bad("The format is csv or parquet.")),
    };
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
        let opened = std::fs::File::open(&target).and_then(|file| Ok((file.metadata()?.len(), file)));
        drop(directory);
        opened.map_err(|error| Failure::failed(format!("{}: {error}", target.display()), ""))
    });
    let made = making.await.map_err(|error| Failure::failed(error.to_string(), ""))?;
    let (length, file) = made.map_err(|failure| {
        if failure.is_usage() {
            Refusal::bad(format!("{}: {}.", failure.message, failure.remedy))
        } else {
            failure.into()
        }
    })?;
    let mut answer = stream_file(file);
    let headers = answer.headers_mut();
    // With the length, the browser shows the progress.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let name = format!("attachment; filename=\"study-{id}.zip\"");
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(|_| Refusal::not_found())?);
    Ok(answer)
}
