//! Writes the resources of a study to NDJSON files, for SMART's Bulk Data Access
//! (<https://hl7.org/fhir/uv/bulkdata/STU2/export.html>).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::fhir::base::Base;
use crate::fhir::dates;
use crate::fhir::observation_query::ObservationQuery;
use crate::fhir::parameters::MAX_COUNT;
use crate::fhir::resources::{self, Resource};
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientId;
use crate::model::study::{Study, StudyId};
use crate::store::engine::store::Store;
use crate::store::people::{data_source, study};
use crate::store::samples::reading::{self, ConsentState};

/// Resources of a file at most: about 20 MB, which also a slow connection gets before it is ended.
const RESOURCES_PER_FILE: u64 = 20_000;
/// A commit has the time at which it was queued, and becomes visible up to this much later. `_since` reaches back for it.
const COMMIT_LAG: Duration = Duration::from_mins(1);

/// The types that an export has, in the order of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BulkType {
    Group,
    Patient,
    Device,
    Observation,
}

impl BulkType {
    pub const ALL: [Self; 4] = [Self::Group, Self::Patient, Self::Device, Self::Observation];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::Patient => "Patient",
            Self::Device => "Device",
            Self::Observation => "Observation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// An export to make.
#[derive(Debug, Clone)]
pub struct BulkRequest {
    pub base: Base,
    pub study: StudyId,
    pub shows_names: bool,
    pub types: Vec<BulkType>,
    /// Only observations that arrived or changed since.
    pub since: Option<Timestamp>,
    /// Only these observations.
    pub filter: Option<ObservationQuery>,
    /// The `transactionTime`: later changes belong to the next export.
    pub now: Timestamp,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BulkFile {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Name within the directory.
    #[serde(skip)]
    pub name: String,
    /// Resources in it.
    pub count: u64,
}

/// The participants at the beginning of an export. Files are given out only while their consents stay the same.
pub type Participants = BTreeMap<i64, ConsentState>;

/// Returns true if all participants still have the same consents.
pub fn have_same_consents(participants: &Participants, now: &Participants) -> bool {
    let is_same = |(patient, state): (&i64, &ConsentState)| {
        now.get(patient).is_some_and(|now| now.terms == state.terms)
    };
    participants.iter().all(is_same)
}

/// Writes all files into an empty directory, page by page; `written` counts resources. Nothing holds the database between
/// two pages. Fails if a participant has changed a consent meanwhile.
pub async fn write(
    store: &Store,
    request: &BulkRequest,
    participants: &Participants,
    directory: &Path,
    written: &AtomicU64,
) -> Result<Vec<BulkFile>, Failure> {
    let study_id = request.study;
    let found = store.read(move |db| Ok((study::find(db, study_id)?, study::find_created(db, study_id)?)));
    let (study, created) = found.await?;
    let study = Arc::new(study);
    let mut files = Vec::new();
    for kind in &request.types {
        let mut out = Files { directory, kind: *kind, done: Vec::new(), open: None, written };
        match kind {
            BulkType::Group => {
                let count = store.read(move |db| reading::count(db, study_id)).await?;
                out.write(&resources::group(request.base, &study, count, created))?;
            }
            BulkType::Patient => write_patients(store, request, participants, &study, &mut out).await?,
            BulkType::Device => {
                for source in store.read(move |db| data_source::list(db, study_id)).await? {
                    out.write(&resources::device(request.base, &source))?;
                }
            }
            BulkType::Observation => {
                write_observations(store, request, participants, &study, &mut out).await?;
            }
        }
        files.extend(out.finish()?);
    }
    let now = store.read(move |db| reading::list_states(db, study_id)).await?;
    if have_same_consents(participants, &now) {
        return Ok(files);
    }
    Err(Failure::failed("a participant has changed a consent during the export", "start it again"))
}

async fn write_patients(
    store: &Store,
    request: &BulkRequest,
    participants: &Participants,
    study: &Arc<Study>,
    out: &mut Files<'_>,
) -> Result<(), Failure> {
    for patient in participants.keys() {
        let (id, patient) = (study.id, PatientId::new(*patient));
        if let Some(participant) = store.read(move |db| reading::find(db, id, patient)).await? {
            out.write(&resources::patient(study, &participant, request.shows_names))?;
        }
    }
    Ok(())
}

/// Writes the observations of one participant after the other: all of them, if the participant's consents have changed
/// since `_since`.
async fn write_observations(
    store: &Store,
    request: &BulkRequest,
    participants: &Participants,
    study: &Arc<Study>,
    out: &mut Files<'_>,
) -> Result<(), Failure> {
    let filter = request.filter.clone().unwrap_or_else(|| ObservationQuery::all(request.base));
    let until = request.now.plus(Duration::from_micros(1));
    let since = request.since.map(|since| since.minus(COMMIT_LAG));
    for (patient, state) in participants {
        if filter.patients.as_ref().is_some_and(|wanted| !wanted.contains(patient)) {
            continue;
        }
        let commit = state.changed_at_commit;
        let changed = store.read(move |db| reading::find_commit_time(db, commit)).await?;
        // A change after the last commit is recorded under the next number, which does not exist yet.
        let is_new = |since: &Timestamp| commit > 0 && changed.is_none_or(|changed| changed >= *since);
        let from = since.filter(|since| !is_new(since)).unwrap_or(Timestamp::MIN);
        let updated = dates::intersect(filter.updated, Interval { from, until });
        let mut query = ObservationQuery { patients: Some(vec![*patient]), updated, ..filter.clone() };
        loop {
            let (wanted, own) = (query.clone(), Arc::clone(study));
            let read = move |db: &Connection| resources::find_observations(db, &own, &wanted, MAX_COUNT);
            let (rendered, next) = store.read(read).await?;
            rendered.iter().try_for_each(|one| out.write(one))?;
            if next.is_none() {
                break;
            }
            query.cursor = next;
        }
    }
    Ok(())
}

/// The files of one type.
struct Files<'a> {
    directory: &'a Path,
    kind: BulkType,
    done: Vec<BulkFile>,
    open: Option<BufWriter<File>>,
    written: &'a AtomicU64,
}

impl Files<'_> {
    fn write(&mut self, resource: &Resource) -> Result<(), Failure> {
        if self.done.last().is_none_or(|file| file.count == RESOURCES_PER_FILE) {
            self.close()?;
            let kind = self.kind.as_str();
            let name = format!("{kind}-{}.ndjson", self.done.len() + 1);
            let path = self.directory.join(&name);
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            self.open = Some(BufWriter::new(made.map_err(|error| file_failure(&error))?));
            self.done.push(BulkFile { kind, name, count: 0 });
        }
        if let (Some(out), Some(file)) = (&mut self.open, self.done.last_mut()) {
            let line = out.write_all(resource.json.as_bytes()).and_then(|()| out.write_all(b"\n"));
            line.map_err(|error| file_failure(&error))?;
            file.count += 1;
            self.written.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.open.take().map_or(Ok(()), |mut out| out.flush().map_err(|error| file_failure(&error)))
    }

    fn finish(mut self) -> Result<Vec<BulkFile>, Failure> {
        self.close()?;
        Ok(self.done)
    }
}

fn file_failure(error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("the export cannot be written: {error}"),
        "free space on the disk of the data directory",
    )
}
