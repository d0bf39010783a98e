//! The daemon's own backups: creates them, finds the newest, and removes the oldest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::common::{failure::Failure, time::Timestamp};
use crate::config::settings::Settings;
use crate::store::engine::backup::{self, BackupFile};

/// An unfinished backup that has not changed for this long was abandoned by a killed process.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);

/// Returns the name of a backup that begins at `at`, in UTC.
fn file_name(at: Timestamp) -> String {
    format!("jhe-ow-{}.sqlite3", backup::file_timestamp(at))
}

/// Returns the directory for the backups of the store in `data`.
pub fn directory(settings: &Settings, data: &Path) -> PathBuf {
    settings.backup_directory().map_or_else(|| data.join(backup::DIRECTORY), PathBuf::from)
}

/// Returns the start of the newest backup; none if there is no backup or the directory cannot be read.
pub fn find_newest(directory: &Path, now: Timestamp) -> Option<Timestamp> {
    list_names(directory, now).unwrap_or_default().last().and_then(|name| parse_start(name))
}

/// Creates a backup, and removes the oldest beyond the number to keep.
pub fn create(
    settings: &Settings,
    data: &Path,
    now: Timestamp,
    cancel: &CancellationToken,
) -> Result<BackupFile, Failure> {
    let directory = directory(settings, data);
    backup::create_directory(&directory)?;
    remove_unfinished(&directory);
    remove_unfinished(data);
    let target = directory.join(file_name(now));
    let made = backup::create(data, &target, true, cancel)?;
    let names = list_names(&directory, now).unwrap_or_default();
    for name in &names[..names.len().saturating_sub(settings.backup_keep())] {
        let old = directory.join(name);
        fs::remove_file(&old).map_err(|error| {
            Failure::failed(
                format!("the old backup {} cannot be removed: {error}", old.display()),
                "remove it by hand",
            )
        })?;
    }
    Ok(made)
}

/// Removes the remains of killed backups. A running one is younger than [`ABANDONED_AFTER`].
fn remove_unfinished(directory: &Path) {
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED_AFTER))
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(backup::TEMPORARY_PREFIX) && is_old(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!("removed the unfinished backup {}", path.display()),
                Err(error) => {
                    tracing::warn!("the unfinished backup {} cannot be removed: {error}", path.display());
                }
            }
        }
    }
}

/// Lists the backups in a directory, the newest last. Skips those with a start in the future (clock skew):
/// they must not delay the next backup or count as backups to keep.
fn list_names(directory: &Path, now: Timestamp) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string().ok();
        names.extend(name.filter(|name| parse_start(name).is_some_and(|at| at <= now)));
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the start of a backup from its file name; none for other files.
fn parse_start(name: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime("jhe-ow-%Y%m%dT%H%M%SZ.sqlite3", name).ok()?;
    let at = Timestamp::parse(&format!("{time}Z")).ok()?;
    // The format also matches shorter numbers, as in a name that a person has typed.
    (file_name(at) == name).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remains_of_killed_backups_are_removed_and_running_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (old, new) = (".jhe-ow-unfinished-old", ".jhe-ow-unfinished-new");
        for name in [old, new, "other"] {
            fs::create_dir(path(name)).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - ABANDONED_AFTER * 2;
        for name in [old, "other"] {
            fs::File::open(path(name)).unwrap().set_modified(long_ago).unwrap();
        }
        remove_unfinished(directory.path());
        assert_eq!([old, new, "other"].map(|name| path(name).exists()), [false, true, true]);
    }

    #[test]
    fn a_backup_from_a_clock_that_ran_ahead_counts_once_its_time_has_come() {
        let directory = tempfile::tempdir().unwrap();
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (now, ahead) = (at("2026-11-21T12:00:00Z"), at("2028-01-01T00:00:00Z"));
        fs::write(directory.path().join(file_name(ahead)), "").unwrap();
        assert_eq!(find_newest(directory.path(), now), None, "the next one is due");
        fs::write(directory.path().join(file_name(now)), "").unwrap();
        assert_eq!(find_newest(directory.path(), now), Some(now), "and is made once");
        assert_eq!(find_newest(directory.path(), ahead), Some(ahead));
    }

    #[test]
    fn a_backup_is_recognised_by_its_name() {
        let at = Timestamp::parse("2026-11-21T12:00:59.5Z").unwrap();
        let name = file_name(at);
        assert_eq!(name, "jhe-ow-20261121T120059Z.sqlite3");
        assert_eq!(parse_start(&name), Timestamp::parse("2026-11-21T12:00:59Z").ok());
        for other in
            ["jhe-ow.sqlite3", "pre-migration-V6-20261121T120059Z.sqlite3", "jhe-ow-2026é121T120059Z.sqlite3"]
        {
            assert_eq!(parse_start(other), None);
        }
    }
}
