//! `jhe-ow patient export`: writes everything about one patient to a zip file.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::app::session::Session;
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line, time::Timestamp};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::{account::Actor, activity_context::ActivityContext};
use crate::omh::render;
use crate::store::privacy::{audit, patient_export};
use crate::store::samples::observation::{self, ObservationFilter};
use crate::store::{error::StoreError, people::patient};

/// The prefix of unfinished files.
const UNFINISHED_PREFIX: &str = ".jhe-ow-unfinished-";

/// The README in the zip file.
const README: &str = "\
Everything that jhe-ow stores about one patient.

patient.json               the person, links to Open Wearables, consents with their texts, studies,
                           invitations, sessions and tokens (times only), devices, newest samples
observations.ndjson        each measurement as an Open mHealth data point, with replaced values
deliveries.ndjson          observations that wait for delivery to JupyterHealth Exchange (JHE), or that JHE
                           rejected
delivered_by_others.ndjson observations that another program has delivered to JHE
rejected.ndjson            samples that could not be converted, with the reasons
events.ndjson              the ids of sleep sessions and workouts at Open Wearables
payloads.ndjson            the names of the provider payloads that were read
hours.ndjson               the number of samples per hour in the last days
audit.ndjson               audit log: each action on the patient's data, and who took it

Times are UTC. A .ndjson file has one JSON document per line.

Included: data that were hidden when their consent was withdrawn.
Not included: secrets (invitation codes, session and API tokens); data that came through a mistaken link,
because they belong to another person; data at Open Wearables, the device's provider or JHE; backups; logs.
";

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The file to write [default: patient-N.zip]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(session: &Session, arguments: ExportArguments) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let who = arguments.id;
    let id = store.read(move |db| patient::find(db, who)).await?.id;
    let target = arguments.output.unwrap_or_else(|| format!("patient-{id}.zip").into());
    if !arguments.force && target.symlink_metadata().is_ok() {
        return Err(exists_failure(&target));
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let unwritable = |error: std::io::Error| {
        Failure::failed(
            format!("{} cannot be written: {error}", target.display()),
            "name a file in an existing directory with free space that this user may write to",
        )
    };
    // A temporary file: readable by its owner only, and deleted unless it gets its final name.
    let unfinished =
        tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempfile_in(&directory).map_err(unwritable)?;
    let file = unfinished.reopen().map_err(unwritable)?;
    // The audit entry comes first: no file without an entry.
    let write_audit =
        move |db: &Connection| audit::record(db, now, Actor::CommandLine, "patient.export", Some(id), "");
    store.write(write_audit).await?;
    let observations = store.read(move |db| Ok(write(db, id, file, now))).await?.map_err(unwritable)?;
    unfinished.as_file().sync_all().map_err(unwritable)?;
    let named =
        if arguments.force { unfinished.persist(&target) } else { unfinished.persist_noclobber(&target) };
    named.map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists_failure(&target),
        _ => unwritable(failed.error),
    })?;
    File::open(&directory).and_then(|file| file.sync_all()).map_err(unwritable)?;
    print_line(format_args!("{}: patient {id}, {}", target.display(), counted(observations, "observation")))
}

fn exists_failure(target: &Path) -> Failure {
    Failure::failed(format!("{} is there already", target.display()), "name another file, or add --force")
}

/// Writes the zip file row by row, from one read transaction. Returns the number of observations.
fn write(db: &Connection, id: PatientId, file: File, now: Timestamp) -> std::io::Result<u64> {
    let mut zip = ZipWriter::new(BufWriter::new(file));
    start_file(&mut zip, "README.txt")?;
    zip.write_all(README.as_bytes())?;
    start_file(&mut zip, "patient.json")?;
    let mut document = Map::from_iter([("exported_at".to_owned(), json!(now.to_string()))]);
    for &query in patient_export::DOCUMENT_QUERIES {
        let mut rows = Vec::new();
        io_result(patient_export::for_each_row(db, query, id, |row| {
            rows.push(row);
            Ok(())
        }))?;
        document.insert(query.0.to_owned(), rows.into());
    }
    serde_json::to_writer_pretty(&mut zip, &Value::from(document))?;
    start_file(&mut zip, "observations.ndjson")?;
    let mut count = 0;
    for stream in io_result(observation::list_patient_streams(db, id))? {
        count += write_stream(db, &stream, &mut zip)?;
    }
    for &query in patient_export::LIST_QUERIES {
        start_file(&mut zip, &format!("{}.ndjson", query.0))?;
        io_result(patient_export::for_each_row(db, query, id, |row| {
            writeln!(zip, "{row}").map_err(|error| StoreError::Other(error.to_string()))
        }))?;
    }
    zip.finish()?.flush()?;
    Ok(count)
}

fn start_file<W: Write + Seek>(zip: &mut ZipWriter<W>, name: &str) -> std::io::Result<()> {
    // Zip64: a file may exceed 4 GiB.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o600)
        .large_file(true);
    Ok(zip.start_file(name, options)?)
}

fn write_stream(db: &Connection, stream: &StreamInfo, out: &mut impl Write) -> std::io::Result<u64> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = io_result(observation::list_page(db, stream.id, after, &ObservationFilter::default()))?;
        for observation in &page {
            let earlier = match observation.revision {
                0 => Vec::new(),
                _ => io_result(observation::list_revisions(db, stream.id, observation.instant))?,
            };
            for (replaced, at) in &earlier {
                write_line(stream, replaced, Some(*at), out)?;
            }
            write_line(stream, observation, None, out)?;
            count += 1;
        }
        match page.last() {
            Some(last) => after = Some(last.instant),
            None => return Ok(count),
        }
    }
}

fn write_line(
    stream: &StreamInfo,
    observation: &Observation,
    replaced: Option<Timestamp>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let document: Value = serde_json::from_str(&render::omh_document(stream, observation)?)?;
    let line = json!({
        "identifier": { "system": stream.system, "value": render::identifier_value(stream, observation) },
        "state": if replaced.is_some() { "replaced" } else { "current" },
        "revision": observation.revision,
        "replaced_at": replaced.map(|at| at.to_string()),
        "context": observation.context.map(ActivityContext::as_str),
        "provider": stream.provider,
        "source": stream.source,
        "device": stream.device,
        "data_point": document,
    });
    writeln!(out, "{line}")
}

fn io_result<T>(read: Result<T, StoreError>) -> std::io::Result<T> {
    read.map_err(std::io::Error::other)
}
