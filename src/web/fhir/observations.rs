//! `Observation`: search and read.

use http::StatusCode;
use rusqlite::Connection;
use warp::reply::Response;

use crate::app::state::App;
use crate::fhir::base::Base;
use crate::fhir::cursor::Cursor;
use crate::fhir::observation_query::ObservationQuery;
use crate::fhir::observation_search::{self, FoundObservation};
use crate::fhir::parameters::MAX_COUNT;
use crate::fhir::resources::{self, Resource};
use crate::model::patient::PatientId;
use crate::store::error::{StoreError, StoreResult};
use crate::store::samples::reading;
use crate::web::fhir::answer::{self, SearchPage, bad_parameter, bundle, check_accept, is_lenient};
use crate::web::fhir::outcome::outcome;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::study_reader::StudyReader;

const OBSERVATION: &str = "Observation";

pub(crate) async fn search(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let base = Base::of(request.pattern);
    if let Err(refused) = check_accept(request) {
        return Ok(refused);
    }
    let parsed = ObservationQuery::parse(base, request.query.pairs(), is_lenient(request));
    let (query, paging, parsed) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return Ok(bad_parameter(&error)),
    };
    if let Some(refused) = check_visible(app, reader, &query).await? {
        return Ok(refused);
    }
    let wants_total = paging.is_summary || paging.has_total;
    let total = if wants_total { Some(count(app, reader, &query).await?) } else { None };
    let limit = if paging.is_summary { 0 } else { paging.count };
    let (resources, next) = find_page(app, reader, query, limit).await?;
    reader.record_read(app, OBSERVATION, resources.len()).await?;
    let next = next.map(Cursor::encode);
    let page = SearchPage { resources: &resources, total, next, paging: &paging, parsed: &parsed };
    Ok(bundle(app, request, OBSERVATION, &page))
}

pub(crate) async fn read(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let base = Base::of(request.pattern);
    if let Err(refused) = check_accept(request) {
        return Ok(refused);
    }
    let ids = Some(vec![request.parameter("id").to_owned()]);
    let query = ObservationQuery { ids, ..ObservationQuery::all(base) };
    let (found, _) = find_page(app, reader, query, 1).await?;
    reader.record_read(app, OBSERVATION, found.len()).await?;
    Ok(match found.first() {
        Some(found) => answer::resource(request, found),
        None => no_such(OBSERVATION, request.parameter("id")),
    })
}

/// Returns the answer to an id that nothing has which the token may read.
pub(crate) fn no_such(kind: &str, id: &str) -> Response {
    let id: String = id.chars().take(64).collect();
    outcome(StatusCode::NOT_FOUND, &format!("{kind}/{id} not found."))
}

/// Refuses a study and patients that the token may not read, as JHE does: an empty answer would look like a patient
/// without data.
async fn check_visible(
    app: &App,
    reader: &StudyReader,
    query: &ObservationQuery,
) -> Result<Option<Response>, Refusal> {
    let study = reader.study().id;
    if let Some(other) = query.study.filter(|named| *named != study) {
        return Ok(Some(not_authorized("Group", other.to_string())));
    }
    let named = query.patients.clone().unwrap_or_default();
    let find = move |db: &Connection| {
        for id in named {
            if reading::find(db, study, PatientId::new(id))?.is_none() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    };
    let unknown = app.store.read(find).await?;
    Ok(unknown.map(|id| not_authorized("Patient", id.to_string())))
}

pub(crate) fn not_authorized(kind: &str, id: impl std::fmt::Display) -> Response {
    outcome(StatusCode::FORBIDDEN, &format!("This token does not read {kind}/{id}."))
}

/// Finds and renders the observations of a page, and the place of the next one. Each read is short; where few rows match,
/// there are several.
async fn find_page(
    app: &App,
    reader: &StudyReader,
    mut query: ObservationQuery,
    limit: usize,
) -> Result<(Vec<Resource>, Option<Cursor>), Refusal> {
    if limit == 0 || !query.is_own_source {
        return Ok((Vec::new(), None));
    }
    loop {
        let (wanted, study) = (query.clone(), reader.study().clone());
        let read = move |db: &Connection| {
            let (found, next) = match &wanted.ids {
                Some(ids) => (observation_search::find_all_by_id(db, &study, &wanted, ids)?, None),
                None => {
                    let page = observation_search::find_page(db, &study, &wanted, limit)?;
                    (page.found, page.next)
                }
            };
            Ok((render(&wanted, &found)?, next))
        };
        let (resources, next) = app.store.read(read).await?;
        if !resources.is_empty() || next.is_none() {
            return Ok((resources, next));
        }
        query.cursor = next;
    }
}

fn render(query: &ObservationQuery, found: &[FoundObservation]) -> StoreResult<Vec<Resource>> {
    let rendered = found.iter().map(|one| resources::observation(query.base, one));
    rendered.collect::<Result<_, _>>().map_err(|error| StoreError::Other(error.to_string()))
}

/// Counts the observations that a query finds, in reads of a page each.
async fn count(app: &App, reader: &StudyReader, query: &ObservationQuery) -> Result<u64, Refusal> {
    let mut query = ObservationQuery { cursor: None, ..query.clone() };
    if !query.is_own_source {
        return Ok(0);
    }
    let mut total = 0;
    loop {
        let (wanted, study) = (query.clone(), reader.study().clone());
        let read = move |db: &Connection| match &wanted.ids {
            Some(ids) => Ok((observation_search::find_all_by_id(db, &study, &wanted, ids)?.len(), None)),
            None => {
                let page = observation_search::find_page(db, &study, &wanted, MAX_COUNT)?;
                Ok((page.found.len(), page.next))
            }
        };
        let (found, next) = app.store.read(read).await?;
        total += found as u64;
        if next.is_none() {
            return Ok(total);
        }
        query.cursor = next;
    }
}
