//! Checks the data directory, the database file with its schema and integrity, and the age of the newest
//! backup.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use crate::app::backup_rotation;
use crate::common::{failure::Failure, time::Timestamp};
use crate::config::settings::Settings;
use crate::doctor::disk;
use crate::doctor::finding::{Finding, render_length};
use crate::store::engine::backup::TEMPORARY_PREFIX;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::inspect::{self, Migration};
use crate::store::engine::{open, setting};

/// The size up to which integrity is checked without `--deep`, in about a second.
const MAX_CHECKED_SIZE: u64 = 64 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// The delay allowed for a backup: the daemon retries every ten minutes, and the machine may have been off.
const GRACE: Duration = Duration::from_hours(6);
/// A copy that was written to within this time is still being made.
const UNFINISHED_AFTER: Duration = Duration::from_mins(10);
/// The permission bits of users other than the owner.
const GROUP_AND_OTHERS: u32 = 0o077;

pub(crate) struct OpenStore {
    pub(crate) db: Connection,
    pub(crate) settings: Settings,
    /// The schema is this program's.
    pub(crate) is_current: bool,
    bytes: u64,
}

/// Checks the directory and the file, and opens the file for reading if possible.
pub(crate) fn open(directory: &Path) -> (Vec<Finding>, Option<OpenStore>) {
    let mut findings = vec![check_directory(directory)];
    if directory.is_dir() {
        findings.extend(check_permissions(directory, "directory", "700"));
        findings.extend(check_files(directory));
        findings.extend(disk::check(directory));
    }
    let path = directory.join(FILE_NAME);
    findings.extend(check_permissions(&path, "file", "600"));
    let opened = match read(directory, &path) {
        Ok((opened, schema)) => {
            findings.push(schema);
            Some(opened)
        }
        Err(failure) => {
            findings.push(Finding::failed("store.file", failure));
            None
        }
    };
    (findings, opened)
}

fn read(directory: &Path, path: &Path) -> Result<(OpenStore, Finding), Failure> {
    open::refuse_lone_log(directory)?;
    // If its existence cannot be read, opening it reports the error below.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Failure::failed(
            format!("there is no store in {} yet", directory.display()),
            "create it: jhe-ow seed",
        ));
    }
    // First, because this opens and closes the file without SQLite: closing it would drop the POSIX locks of
    // a connection.
    let migrations = inspect::list_migrations(directory)?;
    let db = inspect::open_reader(path)?;
    let settings = match migrations.first() {
        Some(first) if first.applied.is_some() => setting::read_all(&db)?,
        _ => Settings::default(),
    };
    let schema = check_schema(&migrations);
    let is_current = schema.remedy.is_empty();
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    Ok((OpenStore { db, settings, is_current, bytes }, schema))
}

fn check_schema(migrations: &[Migration]) -> Finding {
    let newest = migrations.len();
    match migrations.iter().filter(|migration| migration.applied.is_some()).count() {
        applied if applied == newest => {
            Finding::ok("store.schema", format!("the schema is current (V{newest})"))
        }
        applied => Finding::warning(
            "store.schema",
            format!(
                "the schema is older than this program's (V{applied} instead of V{newest}); it was not \
                 changed"
            ),
            "start the daemon, or run jhe-ow seed: both make a copy and migrate the store",
        ),
    }
}

/// Checks that files can be created in the directory, or in its nearest ancestor that exists.
fn check_directory(directory: &Path) -> Finding {
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let verb = if existing == directory { "written" } else { "created" };
    match tempfile::tempfile_in(existing) {
        Ok(_) => Finding::ok("store.directory", format!("{} can be {verb}", directory.display())),
        Err(error) => Finding::stops(
            "store.directory",
            format!("the data directory {} cannot be {verb}: {error}", directory.display()),
            "give this user write access, or set another directory with --data-dir or JHE_OW_DATA_DIR",
        ),
    }
}

/// Reports files and directories in the data directory that this user cannot write: a command that ran as another user,
/// such as root, has made them.
fn check_files(directory: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_unwritable = |path: &PathBuf| {
        let refused = if path.is_dir() {
            tempfile::tempfile_in(path).err()
        } else {
            fs::OpenOptions::new().write(true).open(path).err()
        };
        refused.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let report = |path: PathBuf| {
        let owner = fs::metadata(&path).map_or(0, |found| found.uid());
        Finding::stops(
            "store.directory",
            format!("{} cannot be written: it belongs to user {owner}", path.display()),
            format!(
                "chown --recursive --reference={0} {0}, and run commands as the user of the daemon",
                directory.display()
            ),
        )
    };
    entries.filter(is_unwritable).map(report).collect()
}

/// Reports copies that a killed backup or restore has left in a directory.
fn check_unfinished(directory: &Path, now: SystemTime) -> Vec<Finding> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let written = fs::read_dir(path).into_iter().flatten().flatten();
        let written = written.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
        let is_growing =
            written.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age < UNFINISHED_AFTER);
        name.starts_with(TEMPORARY_PREFIX) && !is_growing
    };
    let report = |path: PathBuf| {
        Finding::warning(
            "store.unfinished",
            format!("a backup or restore that was cut off has left {}", path.display()),
            "remove it: it is incomplete, and may have patients' data",
        )
    };
    entries.filter(is_left).map(report).collect()
}

fn check_permissions(path: &Path, kind: &str, wanted: &str) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & GROUP_AND_OTHERS != 0).then(|| {
        Finding::warning(
            "store.rights",
            format!(
                "users other than the owner can access the {kind} {} (mode {:o})",
                path.display(),
                mode & 0o777
            ),
            format!("chmod {wanted} {}", path.display()),
        )
    })
}

/// Checks the integrity of the file, and the backups.
pub(crate) fn check(opened: &OpenStore, directory: &Path, deep: bool, now: Timestamp) -> Vec<Finding> {
    let backups = backup_rotation::directory(&opened.settings, directory);
    let mut findings = vec![check_integrity(opened, deep), check_backup(&opened.settings, directory, now)];
    // The time of the machine, as the files have it.
    let machine = SystemTime::now();
    findings.extend(check_unfinished(directory, machine));
    findings.extend(check_unfinished(&backups, machine));
    findings
}

fn check_integrity(opened: &OpenStore, deep: bool) -> Finding {
    let size = opened.bytes / MIB;
    if !deep && opened.bytes > MAX_CHECKED_SIZE {
        let message = format!("the integrity of the file was not checked ({size} MiB); --deep checks it");
        return Finding::skipped("store.sound", message);
    }
    match inspect::check_integrity(&opened.db) {
        Ok(None) => Finding::ok("store.sound", format!("the file is undamaged ({size} MiB, all of it read)")),
        Ok(Some(damage)) => report_damage(&damage),
        Err(error) => report_damage(&error.to_string()),
    }
}

fn report_damage(damage: &str) -> Finding {
    // SQLite's message may have several lines.
    let damage: Vec<&str> = damage.split_whitespace().collect();
    Finding::stops(
        "store.sound",
        format!("the file is damaged: {}", damage.join(" ")),
        "stop the daemon, keep a copy of the data directory, then: jhe-ow restore BACKUP",
    )
}

fn check_backup(settings: &Settings, data: &Path, now: Timestamp) -> Finding {
    let directory = backup_rotation::directory(settings, data);
    let by_hand = "jhe-ow backup FILE makes one by hand";
    let newest = backup_rotation::find_newest(&directory, now).map(|at| (at, now.since(at)));
    match (settings.backup_interval(), newest) {
        (None, _) => Finding::warning(
            "store.backup",
            "the daemon makes no backups (backup.interval = off)",
            "jhe-ow settings set backup.interval 1d, unless something else copies the store with jhe-ow \
             backup",
        ),
        (Some(interval), Some((_, age))) if age <= interval + GRACE => {
            Finding::ok("store.backup", format!("the newest backup is {} old", render_length(age)))
        }
        (Some(interval), Some((at, age))) => Finding::warning(
            "store.backup",
            format!(
                "the newest backup is {} old, of {at}; one is due every {}",
                render_length(age),
                render_length(interval)
            ),
            format!("see the daemon's log for why {} has no newer one; {by_hand}", directory.display()),
        ),
        (Some(_), None) => Finding::warning(
            "store.backup",
            format!("there is no backup in {}", directory.display()),
            format!("the daemon makes the first one once it runs; {by_hand}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn a_large_file_is_checked_on_request_only() {
        let opened = |bytes| {
            let db = Connection::open_in_memory().unwrap();
            OpenStore { db, settings: Settings::default(), is_current: true, bytes }
        };
        let severity = |bytes, deep| check_integrity(&opened(bytes), deep).severity;
        assert_eq!(
            [severity(MAX_CHECKED_SIZE, false), severity(MAX_CHECKED_SIZE + 1, true)],
            [Severity::Ok; 2]
        );
        let skipped = check_integrity(&opened(MAX_CHECKED_SIZE * 10), false);
        assert_eq!(skipped.severity, Severity::Skipped);
        assert!(
            skipped.message.contains("640 MiB") && skipped.message.contains("--deep"),
            "{}",
            skipped.message
        );
    }
}
