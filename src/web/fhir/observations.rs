//! `Observation`: search and read.

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::app::state::App;
use crate::fhir::base::Base;
use crate::fhir::cursor::Cursor;
use crate::fhir::observation_query::{ObservationQuery, Order};
use crate::fhir::observation_search;
use crate::fhir::parameters::MAX_COUNT;
use crate::fhir::resources::{self, Resource};
use crate::model::patient::PatientId;
use crate::store::samples::reading;
use crate::web::fhir::answer::{
    self, SearchPage, bundle, check_accept, is_lenient, no_such, not_authorized, search_parameters,
};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::study_reader::StudyReader;

const OBSERVATION: &str = "Observation";
/// Reads of a search at most: a million rows, or 25,000 participants. If these find nothing, the answer is an empty page
/// with a link to the next.
const MOST_READS: usize = 50;
static COUNTING: Semaphore = Semaphore::const_new(1);

pub(crate) async fn search(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    check_accept(request)?;
    let base = Base::of(request.pattern);
    let (query, paging, parsed) =
        ObservationQuery::parse(base, &search_parameters(request), is_lenient(request))?;
    check_visible(app, reader, &query).await?;
    // The first page has the number of matches; a count for each page would read everything each time.
    let wants_total = paging.is_summary || (paging.has_total && paging.cursor.is_none());
    let total = if wants_total { Some(count(app, reader, &query).await?) } else { None };
    let limit = if paging.is_summary { 0 } else { paging.count };
    let (resources, next) = find_page(app, reader, query, limit).await?;
    reader.record_read(app, OBSERVATION, resources.len()).await?;
    let next = next.map(Cursor::encode);
    let page = SearchPage { resources: &resources, total, next, paging: &paging, parsed: &parsed };
    Ok(bundle(app, request, OBSERVATION, &page))
}

pub(crate) async fn read(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    check_accept(request)?;
    let id = request.parameter("id");
    let query = ObservationQuery {
        ids: Some(vec![id.to_owned()]),
        ..ObservationQuery::all(Base::of(request.pattern))
    };
    let (found, _) = find_page(app, reader, query, 1).await?;
    reader.record_read(app, OBSERVATION, found.len()).await?;
    let found = found.first().ok_or_else(|| no_such(OBSERVATION, id))?;
    Ok(answer::resource(request, found))
}

/// Refuses a study and patients that the token may not read.
pub(crate) async fn check_visible(
    app: &App,
    reader: &StudyReader,
    query: &ObservationQuery,
) -> Result<(), Refusal> {
    let study = reader.study().id;
    if let Some(other) = query.study.filter(|named| *named != study) {
        return Err(not_authorized("Group", other));
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
    match reader.read(app, find).await? {
        Some(unknown) => Err(not_authorized("Patient", unknown)),
        None => Ok(()),
    }
}

/// Finds and renders the observations of a page, and the place of the next one. Each read is short; where few rows match,
/// there are several.
async fn find_page(
    app: &App,
    reader: &StudyReader,
    mut query: ObservationQuery,
    limit: usize,
) -> Result<(Vec<Resource>, Option<Cursor>), Refusal> {
    if limit == 0 {
        return Ok((Vec::new(), None));
    }
    let mut reads = 0;
    loop {
        let (wanted, study) = (query.clone(), reader.study().clone());
        reads += 1;
        let read = move |db: &Connection| resources::find_observations(db, &study, &wanted, limit);
        let (resources, next) = reader.read(app, read).await?;
        if !resources.is_empty() || next.is_none() || reads == MOST_READS {
            return Ok((resources, next));
        }
        query.cursor = next;
    }
}

/// Counts the observations that a query finds, in reads of a page each.
async fn count(app: &App, reader: &StudyReader, query: &ObservationQuery) -> Result<u64, Refusal> {
    // One count at a time, because a count reads every matching row.
    let _permit = COUNTING.acquire().await;
    let mut query = ObservationQuery { cursor: None, order: Order::ByPatient, ..query.clone() };
    let mut total = 0;
    loop {
        let (wanted, study) = (query.clone(), reader.study().clone());
        let read = move |db: &Connection| observation_search::find_page(db, &study, &wanted, MAX_COUNT);
        let page = reader.read(app, read).await?;
        total += page.found.len() as u64;
        if page.next.is_none() {
            return Ok(total);
        }
        query.cursor = page.next;
    }
}
