//! `Patient`, `Device` and `Group`: search and read. Patients are read page by page; devices and groups are few and are
//! read at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::app::state::App;
use crate::fhir::base::Base;
use crate::fhir::cursor;
use crate::fhir::dates::{self, ALWAYS};
use crate::fhir::parameters::{
    GivenParameter, Paging, ParameterError, ParsedParameters, SOURCE, Token, is_own_source, narrow,
    parse_ids, parse_patients, parse_study, parse_tokens,
};
use crate::fhir::resources::{self, Resource};
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientId;
use crate::model::study::{Study, StudyId};
use crate::store::error::StoreResult;
use crate::store::people::{data_source, study};
use crate::store::samples::reading::{self, ReadableParticipant};
use crate::web::fhir::answer::{
    self, SearchPage, bundle, check_accept, is_lenient, no_such, not_authorized, search_parameters,
};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::study_reader::StudyReader;

const PATIENT: &str = "Patient";
const DEVICE: &str = "Device";
const GROUP: &str = "Group";
/// Participants that one read visits at most: more than the longest page, whose end the next one tells.
const MOST_VISITED: usize = 1024;

/// A search for patients, devices or groups.
struct Query {
    ids: Option<Vec<String>>,
    /// Each entry is a list of alternatives.
    identifiers: Vec<Vec<Token>>,
    /// Patients to whom a device belongs.
    patients: Option<Vec<i64>>,
    updated: Interval,
    study: Option<StudyId>,
    is_own_source: bool,
    /// The type: each has parameters of its own.
    kind: &'static str,
}

impl Query {
    fn new(kind: &'static str) -> Self {
        let (ids, identifiers, patients, updated) = (None, Vec::new(), None, ALWAYS);
        Self { ids, identifiers, patients, updated, study: None, is_own_source: true, kind }
    }

    fn accept(&mut self, given: &GivenParameter<'_>) -> Result<bool, ParameterError> {
        match (given.name, self.kind) {
            ("_id", _) => narrow(&mut self.ids, parse_ids(given)),
            ("patient", PATIENT) => {
                narrow(&mut self.ids, parse_patients(given)?.iter().map(i64::to_string).collect());
            }
            ("patient", DEVICE) => self.patients = Some(parse_patients(given)?),
            ("identifier", PATIENT) => self.identifiers.push(parse_tokens(given)?),
            ("_lastUpdated", PATIENT) => {
                let dates = dates::parse(given.value).map_err(|why| given.bad(&why))?;
                self.updated = dates::intersect(self.updated, dates);
            }
            ("patient._has:Group:member:_id" | "_has:Group:member:_id", _) => {
                self.study = Some(parse_study(given)?);
            }
            (name, _) if SOURCE.contains(&name) => self.is_own_source &= is_own_source(given),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns true if the query may leave out participants.
    fn is_narrowed(&self) -> bool {
        self.ids.is_some() || !self.identifiers.is_empty() || self.updated != ALWAYS || !self.is_own_source
    }

    /// Returns the patients that ids or identifiers name; none if all have to be tried.
    fn candidates(&self, db: &Connection, study: StudyId) -> StoreResult<Option<Vec<i64>>> {
        let mut found = Vec::new();
        match (&self.ids, self.identifiers.first()) {
            (Some(ids), _) => found.extend(ids.iter().filter_map(|id| id.parse::<i64>().ok())),
            (None, Some(tokens)) if tokens.iter().all(|token| !token.code().is_empty()) => {
                for code in tokens.iter().map(Token::code) {
                    found.extend(reading::find_by_participant(db, study, code)?.map(PatientId::get));
                    found.extend(code.parse::<i64>().ok());
                }
            }
            _ => return Ok(None),
        }
        found.sort_unstable();
        found.dedup();
        Ok(Some(found))
    }

    /// Finds up to `limit` patients with an id above `after`. Returns the place at which to go on, if there are more: a
    /// read ends after a number of participants.
    fn find_patients(
        &self,
        db: &Connection,
        study: &Study,
        shows_names: bool,
        after: i64,
        limit: usize,
    ) -> StoreResult<(Vec<Resource>, Option<i64>)> {
        let (candidates, mut found, mut last) = (self.candidates(db, study.id)?, Vec::new(), after);
        for _ in 0..MOST_VISITED {
            let next = reading::find_next_of(db, study.id, candidates.as_deref(), last)?;
            let Some(one) = next else { return Ok((found, None)) };
            if self.accepts_patient(study.id, &one) {
                if found.len() == limit {
                    break;
                }
                found.push(resources::patient(study, &one, shows_names));
            }
            last = one.patient.get();
        }
        Ok((found, Some(last)))
    }

    fn accepts_id(&self, id: &str) -> bool {
        self.is_own_source && self.ids.as_ref().is_none_or(|ids| ids.iter().any(|one| one == id))
    }

    fn accepts_patient(&self, study: StudyId, one: &ReadableParticipant) -> bool {
        let identifiers = resources::patient_identifiers(study, one);
        let has = |any: &Vec<Token>| {
            any.iter().any(|token| identifiers.iter().any(|(system, value)| token.matches((system, value))))
        };
        self.identifiers.iter().all(has)
            && self.updated.from <= one.enrolled
            && one.enrolled < self.updated.until
            && self.accepts_id(&one.patient.to_string())
    }
}

/// Parses the parameters of a search.
fn parse(
    request: &Request,
    reader: &StudyReader,
    kind: &'static str,
) -> Result<(Query, Paging, ParsedParameters), Refusal> {
    check_accept(request)?;
    let mut query = Query::new(kind);
    let (paging, parsed) =
        Paging::parse(&search_parameters(request), is_lenient(request), |given| query.accept(given))?;
    match query.study.filter(|named| *named != reader.study().id) {
        Some(other) => Err(not_authorized("Group", other)),
        None => Ok((query, paging, parsed)),
    }
}

/// Returns the number at which a page begins; `first` without a cursor.
fn parse_cursor(paging: &Paging, first: i64) -> Result<i64, ParameterError> {
    let [place] = paging
        .cursor
        .as_deref()
        .map_or(Some([first]), cursor::decode)
        .ok_or_else(ParameterError::bad_cursor)?;
    Ok(place)
}

pub(crate) async fn search_patients(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let (query, paging, parsed) = parse(request, reader, PATIENT)?;
    let first = if paging.is_summary { i64::MIN } else { parse_cursor(&paging, i64::MIN)? };
    let (id, mut next) = (reader.study().id, Some(first));
    let total = if query.is_narrowed() {
        None
    } else {
        u64::try_from(reader.read(app, move |db| reading::count(db, id)).await?).ok()
    };
    let (query, is_first) = (Arc::new(query), first == i64::MIN);
    let limit = match (paging.is_summary, total) {
        (true, Some(_)) => 0,
        (true, None) => usize::MAX,
        (false, _) => paging.count,
    };
    let mut found = Vec::new();
    while let Some(after) = next.filter(|_| found.len() < limit) {
        let (query, study, missing) = (Arc::clone(&query), reader.study().clone(), limit - found.len());
        let shows_names = reader.token().shows_names;
        let read = move |db: &Connection| query.find_patients(db, &study, shows_names, after, missing);
        let (read, place) = reader.read(app, read).await?;
        found.extend(read);
        next = place;
    }
    let total = total.or((is_first && next.is_none()).then_some(found.len() as u64));
    if paging.is_summary {
        (found, next) = (Vec::new(), None);
    }
    reader.record_read(app, PATIENT, found.len()).await?;
    let next = next.map(|place| cursor::encode([place]));
    let page = SearchPage { resources: &found, total, next, paging: &paging, parsed: &parsed };
    Ok(bundle(app, request, PATIENT, &page))
}

pub(crate) async fn read_patient(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    check_accept(request)?;
    let (id, study) = (request.parameter("id"), reader.study().id);
    let found = match id.parse().map(PatientId::new) {
        Ok(patient) => reader.read(app, move |db| reading::find(db, study, patient)).await?,
        Err(_) => None,
    };
    reader.record_read(app, PATIENT, usize::from(found.is_some())).await?;
    let one = found.ok_or_else(|| no_such(PATIENT, id))?;
    let shows_names = reader.token().shows_names;
    Ok(answer::resource(request, &resources::patient(reader.study(), &one, shows_names)))
}

pub(crate) async fn search_devices(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    search_all(app, request, reader, DEVICE).await
}

pub(crate) async fn read_device(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    read_one(app, request, reader, DEVICE).await
}

pub(crate) async fn search_groups(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    search_all(app, request, reader, GROUP).await
}

pub(crate) async fn read_group(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    read_one(app, request, reader, GROUP).await
}

/// Lists all devices or groups: the data sources, or the study.
async fn list(
    app: &App,
    request: &Request,
    reader: &StudyReader,
    kind: &'static str,
) -> Result<Vec<Resource>, Refusal> {
    let (study, base) = (reader.study().clone(), Base::of(request.pattern));
    let read = move |db: &Connection| {
        if kind == DEVICE {
            let sources = data_source::list(db, study.id)?;
            return Ok(sources.iter().map(|source| resources::device(base, source)).collect());
        }
        let (participants, created) = (reading::count(db, study.id)?, study::find_created(db, study.id)?);
        Ok(vec![resources::group(base, &study, participants, created)])
    };
    reader.read(app, read).await
}

/// Lists the ids of the data sources from which patients have observations.
async fn list_devices_of(
    app: &App,
    reader: &StudyReader,
    patients: Vec<i64>,
) -> Result<BTreeSet<String>, Refusal> {
    let study = reader.study().clone();
    let read = move |db: &Connection| {
        let (sources, mut found) = (data_source::list(db, study.id)?, BTreeSet::new());
        for id in patients {
            let Some(one) = reading::find(db, study.id, PatientId::new(id))? else { continue };
            for stream in reading::list_streams(db, &study, &one)? {
                let known = sources.iter().find(|source| source.name.eq_ignore_ascii_case(&stream.provider));
                found.extend(known.map(|source| source.id.to_string()));
            }
        }
        Ok(found)
    };
    reader.read(app, read).await
}

/// Answers a search for a type of which a page holds all resources.
async fn search_all(app: &App, request: &Request, reader: &StudyReader, kind: &'static str) -> HandlerResult {
    let (mut query, paging, parsed) = parse(request, reader, kind)?;
    let from = usize::try_from(parse_cursor(&paging, 0)?).unwrap_or_default();
    let mut found = list(app, request, reader, kind).await?;
    found.retain(|one| query.accepts_id(&one.id));
    if let Some(patients) = query.patients.take() {
        let of_patients = list_devices_of(app, reader, patients).await?;
        found.retain(|one| of_patients.contains(&one.id));
    }
    let total = Some(found.len() as u64);
    let until = from.saturating_add(paging.count);
    let next = i64::try_from(until).ok().filter(|_| until < found.len()).map(|until| cursor::encode([until]));
    found = found.into_iter().skip(from).take(if paging.is_summary { 0 } else { paging.count }).collect();
    reader.record_read(app, kind, found.len()).await?;
    let next = next.filter(|_| !paging.is_summary);
    let page = SearchPage { resources: &found, total, next, paging: &paging, parsed: &parsed };
    Ok(bundle(app, request, kind, &page))
}

async fn read_one(app: &App, request: &Request, reader: &StudyReader, kind: &'static str) -> HandlerResult {
    check_accept(request)?;
    let id = request.parameter("id");
    let found = list(app, request, reader, kind).await?.into_iter().find(|one| one.id == id);
    reader.record_read(app, kind, usize::from(found.is_some())).await?;
    let found = found.ok_or_else(|| no_such(kind, id))?;
    Ok(answer::resource(request, &found))
}
