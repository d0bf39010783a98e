//! Bulk export (SMART Bulk Data Access 2.0): kick-off, status, files and deletion.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use warp::reply::Reply;

use crate::app::bulk_jobs::{BulkJob, BulkState};
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::fhir::base::Base;
use crate::fhir::bulk::{BulkRequest, BulkType, have_same_consents};
use crate::fhir::observation_query::ObservationQuery;
use crate::fhir::parameters::{GivenParameter, ParameterError};
use crate::model::audit_detail::AuditDetail;
use crate::store::privacy::audit;
use crate::store::samples::reading;
use crate::web::fhir::answer::{base_url, check_accept, has_preference, is_lenient, not_authorized, refusal};
use crate::web::fhir::observations::check_visible;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, stream_file, with_retry_after, with_status, with_type};
use crate::web::study_reader::StudyReader;

/// Seconds after which a client asks again.
const RETRY_AFTER: u64 = 1;
/// The parameters of a filter.
const FILTERS: [&str; 6] = ["patient=", "subject=", "code=", "category=", "date=", "_lastUpdated="];
/// The media type of the files, as the specification names it.
const NDJSON: &str = "application/fhir+ndjson";

pub(crate) async fn export_group(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let group = request.parameter("group");
    if group != reader.study().id.to_string() {
        return Err(not_authorized("Group", group));
    }
    start(app, request, reader).await
}

/// Exports the token's study, also where the request names none.
pub(crate) async fn export_study(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    start(app, request, reader).await
}

async fn start(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    check_accept(request)?;
    if !has_preference(request, "respond-async") {
        let text = "An export runs in the background: send Prefer: respond-async.";
        return Err(refusal(StatusCode::BAD_REQUEST, text));
    }
    let wanted = parse(app, request, reader)?;
    if let Some(filter) = &wanted.filter {
        check_visible(app, reader, filter).await?;
    }
    let types = wanted.types.clone();
    let base = base_url(app, request, wanted.base);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(request.query.pairs()).finish();
    let path = request.path.strip_prefix(wanted.base.path()).unwrap_or_default();
    let url = if query.is_empty() { format!("{base}{path}") } else { format!("{base}{path}?{query}") };
    let Some(id) = app.bulk_jobs.start(&app.store, reader.token().id, wanted, url).await? else {
        let text = "Too many exports are running or kept. Delete one, or try again later.";
        let refused = refusal(StatusCode::TOO_MANY_REQUESTS, text);
        return Err(Refusal { retry_after: Some(RETRY_AFTER * 60), ..refused });
    };
    if let Err(refused) = record(app, reader, "study.bulk-export", &types).await {
        app.bulk_jobs.remove(&id);
        return Err(refused);
    }
    let mut response = with_status(StatusCode::ACCEPTED, warp::reply::reply().into_response());
    if let Ok(location) = HeaderValue::try_from(format!("{base}/bulk/{id}")) {
        response.headers_mut().insert(header::CONTENT_LOCATION, location);
    }
    Ok(response)
}

fn parse(app: &App, request: &Request, reader: &StudyReader) -> Result<BulkRequest, ParameterError> {
    let mut wanted = BulkRequest {
        base: Base::of(request.pattern),
        study: reader.study().id,
        shows_names: reader.token().shows_names,
        types: BulkType::ALL.to_vec(),
        since: None,
        filter: None,
        now: app.clock.now(),
    };
    let mut types = Vec::new();
    for (name, value) in request.query.pairs() {
        let given = GivenParameter { name, value };
        match name.as_str() {
            "_type" => {
                let parse = |one: &str| {
                    BulkType::parse(one).ok_or_else(|| {
                        given.bad("this server exports Group, Patient, Device and Observation")
                    })
                };
                let named = value.split(',').map(parse);
                if is_lenient(request) {
                    types.extend(named.filter_map(Result::ok));
                } else {
                    types.extend(named.collect::<Result<Vec<_>, _>>()?);
                }
                wanted.types.clone_from(&types);
                wanted.types.sort_unstable();
                wanted.types.dedup();
            }
            "_since" => {
                let since = Timestamp::parse(&value.replace(' ', "+"));
                wanted.since =
                    Some(since.map_err(|_| given.bad("write an instant, such as 2026-11-29T08:00:00Z"))?);
            }
            "_typeFilter" => {
                let filter = value.split_once('?').filter(|(kind, _)| *kind == "Observation");
                let (_, filter) = filter.ok_or_else(|| given.bad("only Observation?… is supported"))?;
                if wanted.filter.is_some() {
                    return Err(given.bad("only one filter is supported"));
                }
                if filter.split('&').any(|one| !FILTERS.iter().any(|name| one.starts_with(name))) {
                    let text = "a filter has patient, subject, code, category, date and _lastUpdated";
                    return Err(given.bad(text));
                }
                // Commas within the filter are percent-encoded twice.
                let filter: Vec<_> = form_urlencoded::parse(filter.as_bytes()).into_owned().collect();
                let (query, ..) = ObservationQuery::parse(wanted.base, &filter, is_lenient(request))?;
                wanted.filter = Some(query);
            }
            "_outputFormat" => {
                let known =
                    ["application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"];
                if !known.contains(&value.as_str()) {
                    return Err(given.bad("only application/fhir+ndjson is supported"));
                }
            }
            _ if is_lenient(request) => {}
            _ => return Err(ParameterError::unknown(name)),
        }
    }
    Ok(wanted)
}

/// Finds the export that the path names, if the token started it and all its consents still stand.
async fn find(app: &App, request: &Request, reader: &StudyReader) -> Result<BulkJob, Refusal> {
    let id = request.parameter("job");
    let Some(job) = app.bulk_jobs.find(id, reader.token().id, app.clock.now()) else {
        let text = "There is no such export: it was deleted, it is older than a day, or the server was restarted. Start a new one.";
        return Err(refusal(StatusCode::NOT_FOUND, text));
    };
    if matches!(job.state, BulkState::Running) {
        // Nothing is given out yet, and clients ask often.
        return Ok(job);
    }
    let study = reader.study().id;
    let now = reader.read(app, move |db| reading::list_states(db, study)).await?;
    if !have_same_consents(&job.participants, &now) {
        app.bulk_jobs.remove(id);
        let text = "A participant has changed a consent since this export began, so its files were removed. Start a new one.";
        return Err(refusal(StatusCode::GONE, text));
    }
    Ok(job)
}

pub(crate) async fn status(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let job = find(app, request, reader).await?;
    let BulkState::Finished(files) = &job.state else {
        if matches!(job.state, BulkState::Failed) {
            let text = "The export failed; the log of the server says why. Start a new one.";
            return Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        let waiting = with_status(StatusCode::ACCEPTED, warp::reply::reply().into_response());
        let mut response = with_retry_after(waiting, RETRY_AFTER);
        let progress = HeaderValue::try_from(format!("{} resources written", job.written()));
        response
            .headers_mut()
            .extend(progress.ok().map(|value| (http::HeaderName::from_static("x-progress"), value)));
        return Ok(response);
    };
    let base = base_url(app, request, job.request.base);
    let output = files.iter().map(|file| {
        let url = format!("{base}/bulk/{}/{}", request.parameter("job"), file.name);
        json!({ "type": file.kind, "url": url, "count": file.count })
    });
    let manifest = json!({
        "transactionTime": job.request.now.to_string(),
        "request": job.url,
        "requiresAccessToken": true,
        "output": output.collect::<Vec<_>>(),
        "error": [],
    });
    let mut response = with_type("application/json", manifest.to_string());
    let expires = job.expires().to_http();
    response.headers_mut().extend(HeaderValue::try_from(expires).ok().map(|value| (header::EXPIRES, value)));
    Ok(response)
}

pub(crate) async fn file(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let job = find(app, request, reader).await?;
    let Some((file, count)) = job.open(request.parameter("file")) else {
        return Err(refusal(StatusCode::NOT_FOUND, "This export has no such file; its status lists them."));
    };
    reader.record_read(app, "file", usize::try_from(count).unwrap_or(usize::MAX)).await?;
    let mut response = stream_file(file);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

pub(crate) async fn delete(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let id = request.parameter("job");
    if app.bulk_jobs.find(id, reader.token().id, app.clock.now()).is_none() {
        return Err(refusal(StatusCode::NOT_FOUND, "There is no such export."));
    }
    app.bulk_jobs.remove(id);
    record(app, reader, "study.bulk-delete", &[]).await?;
    Ok(with_status(StatusCode::ACCEPTED, warp::reply::reply().into_response()))
}

async fn record(
    app: &App,
    reader: &StudyReader,
    action: &'static str,
    types: &[BulkType],
) -> Result<(), Refusal> {
    let (now, token) = (app.clock.now(), reader.token());
    let detail = AuditDetail::from("study").with(token.study).with("token").with(token.id);
    let detail = types.iter().fold(detail, |detail, kind| detail.with(kind.as_str()));
    let made_by = token.made_by;
    Ok(app.store.write(move |db| audit::record(db, now, made_by, action, None, detail)).await?)
}
