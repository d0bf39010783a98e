//! Copies of the store that the daemon makes by itself: when one is due, what they are called, and which are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::config::settings::Snapshot;
use crate::store::engine::backup;
use crate::store::engine::backup::Made;

/// What the names of these copies begin and end with; between them stands when they were begun, in UTC.
const BEGIN: &str = "jhe-ow-";
const END: &str = ".sqlite3";
/// An unfinished copy that nothing was made in for so long is nobody's any more.
const ABANDONED: Duration = Duration::from_hours(24);

/// Where the copies of the store in `data` go.
pub fn directory(settings: &Snapshot, data: &Path) -> PathBuf {
    settings.backup_directory().map_or_else(|| data.join(backup::DIRECTORY), PathBuf::from)
}

/// When the newest copy was begun; none where there is none, or none that can be seen.
pub fn newest(directory: &Path, now: Timestamp) -> Option<Timestamp> {
    names(directory, now).unwrap_or_default().last().and_then(|name| begun(name))
}

/// Makes a copy, and takes those away that are more than are to be kept.
///
/// # Errors
/// As [`backup::make`]; also where an old one cannot be taken away.
pub fn make(
    settings: &Snapshot,
    data: &Path,
    now: Timestamp,
    cancel: &CancellationToken,
) -> Result<Made, Failure> {
    let directory = directory(settings, data);
    backup::make_directory(&directory)?;
    remove_unfinished(&directory);
    remove_unfinished(data);
    let target = directory.join(format!("{BEGIN}{}{END}", backup::stamp(now)));
    let made = backup::make(data, &target, true, cancel)?;
    let names = names(&directory, now).unwrap_or_default();
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

/// Takes away what a backup left behind that was killed. One that still runs is younger.
fn remove_unfinished(directory: &Path) {
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED))
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(backup::UNFINISHED) && is_old(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!("removed the unfinished backup {}", path.display()),
                Err(error) => tracing::warn!("the unfinished backup {} stays: {error}", path.display()),
            }
        }
    }
}

/// The copies in a directory, the newest last. Those from a time to come are of a clock that was ahead: they neither put
/// off the next one nor take its place. Other files there are nobody's business.
fn names(directory: &Path, now: Timestamp) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(
            entry?.file_name().into_string().ok().filter(|name| begun(name).is_some_and(|at| at <= now)),
        );
    }
    names.sort_unstable();
    Ok(names)
}

/// When the copy of this name was begun.
fn begun(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let (day, time) = stamp.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || time.len() != 6 || !(day.to_owned() + time).bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let text =
        format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..]);
    Timestamp::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_backup_left_goes_and_what_is_being_made_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (old, new) = (".jhe-ow-unfinished-old", ".jhe-ow-unfinished-new");
        for name in [old, new, "other"] {
            fs::create_dir(path(name)).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - ABANDONED * 2;
        for name in [old, "other"] {
            fs::File::open(path(name)).unwrap().set_modified(long_ago).unwrap();
        }
        remove_unfinished(directory.path());
        assert_eq!([old, new, "other"].map(|name| path(name).exists()), [false, true, true]);
    }

    #[test]
    fn a_copy_of_a_clock_that_was_ahead_counts_once_its_time_has_come() {
        let directory = tempfile::tempdir().unwrap();
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (now, ahead) = (at("2026-11-21T12:00:00Z"), at("2028-01-01T00:00:00Z"));
        fs::write(directory.path().join(format!("{BEGIN}{}{END}", backup::stamp(ahead))), "").unwrap();
        assert_eq!(newest(directory.path(), now), None, "the next one is due");
        fs::write(directory.path().join(format!("{BEGIN}{}{END}", backup::stamp(now))), "").unwrap();
        assert_eq!(newest(directory.path(), now), Some(now), "and is made once");
        assert_eq!(newest(directory.path(), ahead), Some(ahead));
    }

    #[test]
    fn a_copy_is_recognised_by_its_name_and_nothing_else_is() {
        let at = Timestamp::parse("2026-11-21T12:00:59.5Z").unwrap();
        let name = format!("{BEGIN}{}{END}", backup::stamp(at));
        assert_eq!(name, "jhe-ow-20261121T120059Z.sqlite3");
        assert_eq!(begun(&name), Timestamp::parse("2026-11-21T12:00:59Z").ok());
        for other in
            ["jhe-ow.sqlite3", "pre-migration-V6-20261121T120059Z.sqlite3", "jhe-ow-2026é121T120059Z.sqlite3"]
        {
            assert_eq!(begun(other), None);
        }
    }
}
