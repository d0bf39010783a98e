//! `jhe-ow patient export`: everything about one patient, as a zip.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::activity_context::Context;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::{PatientId, PatientRef};
use crate::omh::render;
use crate::store::error::StoreError;
use crate::store::people::patient;
use crate::store::privacy::{audit, patient_export};
use crate::store::samples::observation;
use crate::store::samples::observation::Filter;

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".jhe-ow-unfinished-";

/// What each file is.
const README: &str = "\
Everything that jhe-ow keeps of one patient.

patient.json               the person, links to Open Wearables, consents with their wordings, studies, invitations,
                           sessions and tokens (their times only), devices, and how far the polls have come
observations.ndjson        each measurement as an Open mHealth data point, with the values that it had before
deliveries.ndjson          what waits for JupyterHealth Exchange (JHE), or was refused there
delivered_by_others.ndjson what another program has delivered to JHE
rejected.ndjson            samples that could not be read, as they came, and why
events.ndjson              the ids of nights and workouts at Open Wearables
payloads.ndjson            the provider's payloads that were read, by name
hours.ndjson               how many samples the last days had in each hour
audit.ndjson               who did what about the patient

Times are UTC. A .ndjson file has one JSON document per line. Secrets (codes of invitations, sessions, tokens) are not
in here, nor is what came through a link that was noted as a mistake: it is another person's. What is hidden since its
consent was withdrawn is in here. What Open Wearables, the provider of the device, JHE, backups and logs hold is not.
";

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The file to write; patient-N.zip here, where it is not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file, where it is there already
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(session: &Session, arguments: Export) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let who = arguments.id;
    let id = store.read(move |db| patient::find(db, who)).await?.id;
    let target = arguments.output.unwrap_or_else(|| format!("patient-{id}.zip").into());
    if !arguments.force && target.symlink_metadata().is_ok() {
        return Err(exists(&target));
    }
    let beside = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let unwritable = |error: std::io::Error| {
        Failure::failed(
            format!("{} cannot be written: {error}", target.display()),
            "name a file in a directory that is there, has room, and that this user may write to",
        )
    };
    // Readable for its owner only from the first byte on; gone again unless it gets its name.
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&beside).map_err(unwritable)?;
    let file = unfinished.reopen().map_err(unwritable)?;
    // The audit first: whoever has the file is in it.
    let note =
        move |db: &Connection| audit::record(db, now, Actor::CommandLine, "patient.export", Some(id), "");
    store.write(note).await?;
    let observations = store.read(move |db| Ok(write(db, id, file, now))).await?.map_err(unwritable)?;
    unfinished.as_file().sync_all().map_err(unwritable)?;
    let named =
        if arguments.force { unfinished.persist(&target) } else { unfinished.persist_noclobber(&target) };
    named.map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&target),
        _ => unwritable(failed.error),
    })?;
    File::open(&beside).and_then(|directory| directory.sync_all()).map_err(unwritable)?;
    say(format_args!("{}: patient {id}, {observations} observations", target.display()))
}

fn exists(target: &Path) -> Failure {
    Failure::failed(format!("{} is there already", target.display()), "name another file, or add --force")
}

/// Writes the zip, of one moment, row by row; answers how many observations it has.
fn write(db: &Connection, id: PatientId, file: File, now: Timestamp) -> std::io::Result<u64> {
    let mut zip = ZipWriter::new(BufWriter::new(file));
    begin(&mut zip, "README.txt")?;
    zip.write_all(README.as_bytes())?;
    begin(&mut zip, "patient.json")?;
    let mut document = Map::from_iter([("exported_at".to_owned(), json!(now.to_string()))]);
    for &part in patient_export::PARTS {
        let mut rows = Vec::new();
        told(patient_export::each(db, part, id, |row| {
            rows.push(row);
            Ok(())
        }))?;
        document.insert(part.0.to_owned(), rows.into());
    }
    serde_json::to_writer_pretty(&mut zip, &Value::from(document))?;
    begin(&mut zip, "observations.ndjson")?;
    let mut count = 0;
    for stream in told(observation::own_streams(db, id))? {
        count += write_stream(db, &stream, &mut zip)?;
    }
    for &list in patient_export::LISTS {
        begin(&mut zip, &format!("{}.ndjson", list.0))?;
        told(patient_export::each(db, list, id, |row| {
            writeln!(zip, "{row}").map_err(|error| StoreError::Other(error.to_string()))
        }))?;
    }
    zip.finish()?.flush()?;
    Ok(count)
}

fn begin<W: Write + Seek>(zip: &mut ZipWriter<W>, name: &str) -> std::io::Result<()> {
    // A file may have more than 4 GiB.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o600)
        .large_file(true);
    Ok(zip.start_file(name, options)?)
}

fn write_stream(db: &Connection, stream: &StreamInfo, out: &mut impl Write) -> std::io::Result<u64> {
    let (mut after, mut count) = (None, 0);
    loop {
        let step = told(observation::step(db, stream.id, after, &Filter::default()))?;
        for one in &step {
            let before = match one.revision {
                0 => Vec::new(),
                _ => told(observation::replaced(db, stream.id, one.instant))?,
            };
            for (replaced, at) in &before {
                line(stream, replaced, Some(*at), out)?;
            }
            line(stream, one, None, out)?;
            count += 1;
        }
        match step.last() {
            Some(last) => after = Some(last.instant),
            None => return Ok(count),
        }
    }
}

fn line(
    stream: &StreamInfo,
    one: &Observation,
    replaced: Option<Timestamp>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let document: Value = serde_json::from_str(&render::omh_document(stream, one)?)?;
    let line = json!({
        "identifier": { "system": stream.system, "value": render::identifier_value(stream, one) },
        "state": if replaced.is_some() { "replaced" } else { "current" },
        "revision": one.revision,
        "replaced_at": replaced.map(|at| at.to_string()),
        "context": one.context.map(Context::as_str),
        "provider": stream.provider,
        "source": stream.source,
        "device": stream.device,
        "data_point": document,
    });
    writeln!(out, "{line}")
}

fn told<T>(read: Result<T, StoreError>) -> std::io::Result<T> {
    read.map_err(std::io::Error::other)
}
