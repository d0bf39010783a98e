//! Writes the data set of a study to a directory or a zip file, entirely or not at all.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::common::failure::Failure;
use crate::dataset::export::{self, ExportError, Summary};
use crate::dataset::request::{Format, Request};
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::store::engine::store::Store;
use crate::store::{people::download, privacy::audit};

/// Beginning of the temporary directory beside the target.
const TEMPORARY_PREFIX: &str = ".jhe-ow-dataset-";

/// Writes the data set to `target`: a directory that does not exist or is empty, or a file that ends in `.zip`. After a
/// failure, this name does not exist. The audit records who took what.
pub(crate) async fn write(
    store: &Store,
    request: Request,
    target: PathBuf,
    actor: Actor,
) -> Result<Summary, Failure> {
    let is_zip = target.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    if target.file_name().is_none_or(|name| name == "-") {
        return Err(Failure::usage(format!("{} names no new directory", target.display()), "give it a name"));
    }
    check_target(&target)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let failed = |error: io::Error| file_failure(&target, &error);
    // Beside the target, so that the rename stays on one file system.
    let temporary = temporary_directory(&parent)?;
    let tables = temporary.path().join("data");
    DirBuilder::new().mode(0o700).create(&tables).map_err(failed)?;
    let (directory, wanted) = (tables.clone(), request.clone());
    let summary = store.read(move |db| Ok(export::write(db, &wanted, &directory))).await?;
    let summary = summary.map_err(|error| match error {
        ExportError::Store(error) => error.into(),
        ExportError::Io(error) => failed(error),
        ExportError::UnknownCommit { .. } => Failure::usage(
            error.to_string(),
            "take the complete data set: the store was restored, or the number is of another store",
        ),
    })?;
    let (packed, format) = (temporary.path().join("zip"), request.format);
    let finish = tokio::task::spawn_blocking(move || {
        sync_files(&tables)?;
        if is_zip { zip(&tables, &packed, format) } else { Ok(tables) }
    });
    let made = finish.await.map_err(io::Error::other).and_then(|made| made).map_err(failed)?;
    let entry = AuditDetail::from("study").with(request.study);
    let entry = match request.since {
        Some(since) => entry.with("since commit").with(since),
        None => entry.with("everything"),
    };
    let entry = entry.with("commit").with(summary.last_commit);
    let (now, study, since, last) = (request.now, request.study, request.since, summary.last_commit);
    let record = move |db: &_| {
        download::record(db, study, actor, since, last, now)?;
        audit::record(db, now, actor, "study.download", None, entry)
    };
    store.write(record).await?;
    fs::rename(made, &target).map_err(failed)?;
    File::open(&parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    Ok(summary)
}

/// Creates a directory for unfinished data sets. It is removed with the returned value; the start of the daemon removes
/// what a killed process left.
pub(crate) fn temporary_directory(parent: &Path) -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(parent);
    made.map_err(|error| file_failure(parent, &error))
}

/// Removes the unfinished data sets that killed processes have left.
pub(crate) fn remove_unfinished(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            // The next start retries a removal that fails.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Refuses a target that exists: an empty directory may be a mount point, or have rights that a new one would not get.
fn check_target(target: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    let remedy = format!("give a new name, such as {}", target.join("data").display());
    Err(Failure::usage(format!("{} exists already", target.display()), remedy))
}

/// Waits until the files of a directory are on the disk.
fn sync_files(directory: &Path) -> io::Result<()> {
    fs::read_dir(directory)?.try_for_each(|entry| File::open(entry?.path())?.sync_all())
}

fn file_failure(target: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull => "free space on this disk, or choose another; nothing was written",
        io::ErrorKind::NotFound => "create the directory above it",
        io::ErrorKind::PermissionDenied => "choose a place that this user may write to",
        _ => "nothing was written; try again, or choose another place",
    };
    Failure::failed(format!("{}: {error}", target.display()), remedy)
}

/// Packs a directory's files into one file.
fn zip(directory: &Path, file: &Path, format: Format) -> io::Result<PathBuf> {
    // Parquet is compressed already.
    let method = match format {
        Format::Csv => CompressionMethod::Deflated,
        Format::Parquet => CompressionMethod::Stored,
    };
    let options = SimpleFileOptions::default().compression_method(method).large_file(true);
    let mut archive = ZipWriter::new(File::options().write(true).create_new(true).mode(0o600).open(file)?);
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        archive.start_file(entry.file_name().to_string_lossy(), options)?;
        io::copy(&mut File::open(entry.path())?, &mut archive)?;
    }
    archive.finish()?.sync_all()?;
    Ok(file.to_owned())
}
