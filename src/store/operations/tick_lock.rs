//! The tick lock. It has three parts: the setting `ow.sync_in_progress`, which operators see and may clear; a
//! row with the owner's token; and a file lock, which shows whether the owner's process is alive.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::common::{failpoint, time::Timestamp};
use crate::store::engine::setting;
use crate::store::error::{StoreError, StoreResult};

/// The setting that holds the time at which the lock was taken or last renewed; empty while the lock is free.
pub const KEY: &str = "ow.sync_in_progress";
/// A lock that was not renewed for this long is abandoned. Operators know this limit from the predecessor.
pub const STALE_AFTER: Duration = Duration::from_mins(30);
/// Interval at which a tick that makes progress renews its lock: far below [`STALE_AFTER`], and rare enough
/// to cost nothing.
const RENEW: Duration = Duration::from_mins(1);

/// Prefix of the files that owners keep locked while they live.
const FILE_PREFIX: &str = "tick-";

/// A process that may take the lock, with its token and its locked file. Dropping it does not release the
/// lock; see [`release`].
#[derive(Debug)]
pub struct LockOwner {
    token: String,
    path: PathBuf,
    /// The operating system unlocks it when the process ends, however it ends.
    _file: File,
}

/// The kind of run that takes the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// Polls all patients; another tick is skipped.
    Tick,
    /// Polls some patients, by request or by hint. It is short, so a tick waits for its end.
    Part,
    /// Reads a slice of a backfill. It is short, so a tick waits for its end.
    Backfill,
}

impl RunKind {
    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Part => "part",
            Self::Backfill => "backfill",
        }
    }
}

/// The result of [`take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeResult {
    Free,
    /// An abandoned lock was reclaimed; a warning that says why.
    Reclaimed(String),
    /// Another run holds it.
    Held {
        /// The setting's value.
        since: String,
        /// The holder is not a tick and releases the lock soon after a request.
        yields_soon: bool,
    },
}

impl LockOwner {
    /// Generates a token and locks its file in `directory`.
    pub fn prepare(directory: &Path) -> StoreResult<Self> {
        delete_dead_files(directory);
        loop {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)
                .map_err(|error| StoreError::Other(format!("no randomness: {error}")))?;
            let token = uuid::Builder::from_random_bytes(bytes).into_uuid().simple().to_string();
            let path = file_path(directory, &token);
            let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
            failpoint::at("lock.file");
            let file = opened
                .and_then(|file| file.lock().map(|()| file))
                .map_err(|error| StoreError::Other(format!("{} cannot be made: {error}", path.display())))?;
            failpoint::at("lock.prepared");
            // Between creation and locking another process may have deleted it as a dead owner's file.
            if path.exists() {
                return Ok(Self { token, path, _file: file });
            }
        }
    }

    /// Returns the token that [`check`] verifies in each transaction of this run.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for LockOwner {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the lock for the token `owner` unless another run holds it.
pub fn take(
    db: &Connection,
    directory: &Path,
    owner: &str,
    kind: RunKind,
    now: Timestamp,
) -> StoreResult<TakeResult> {
    let taken = match inspect(db, directory, now)? {
        LockStatus::Free => TakeResult::Free,
        LockStatus::Abandoned(reason) => TakeResult::Reclaimed(format!("{reason}: reclaimed")),
        LockStatus::SetByHand(since) => return Ok(TakeResult::Held { since, yields_soon: false }),
        LockStatus::Held { since, by_tick } => {
            // A backfill requests no release: two backfills would keep cutting each other's slices short.
            if !by_tick && kind != RunKind::Backfill {
                db.execute("UPDATE sync_lock SET release_requested = 1", [])?;
            }
            return Ok(TakeResult::Held { since, yields_soon: !by_tick });
        }
    };
    setting::set(db, KEY, &now.to_string())?;
    failpoint::at("lock.setting");
    db.execute(
        "INSERT OR REPLACE INTO sync_lock (id, owner, setting_value, kind) VALUES (1, ?, ?, ?)",
        [owner, &now.to_string(), kind.as_str()],
    )?;
    failpoint::at("lock.row");
    Ok(taken)
}

/// The state of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockStatus {
    Free,
    /// A living process holds it.
    Held {
        /// The time at which it was taken or last renewed.
        since: String,
        /// The holder is a tick. A backfill may hold the lock for days, slice by slice.
        by_tick: bool,
    },
    /// Set by hand or by another program: ticks are skipped for [`STALE_AFTER`].
    SetByHand(String),
    /// Stale, unreadable, or left by a dead process; the reason. The next run reclaims it.
    Abandoned(String),
}

/// Returns the state of the lock. Changes nothing.
pub fn inspect(db: &Connection, directory: &Path, now: Timestamp) -> StoreResult<LockStatus> {
    let value = setting::get(db, KEY)?.unwrap_or_default();
    if value.is_empty() {
        return Ok(LockStatus::Free);
    }
    let Ok(since) = Timestamp::parse(&value) else {
        return Ok(LockStatus::Abandoned(format!("{KEY} holds '{value}', which is not a time")));
    };
    // A time in the future goes stale too: clocks step backwards.
    let is_stale = distance(now, since) >= STALE_AFTER;
    // A row with another value was written before somebody changed the setting.
    let row = find_row(db)?.filter(|row| row.setting_value == value);
    Ok(match row {
        _ if is_stale => LockStatus::Abandoned(format!("{KEY} since {value} without renewal")),
        Some(row) if is_locked(&file_path(directory, &row.owner)) => {
            LockStatus::Held { since: value, by_tick: row.kind == RunKind::Tick.as_str() }
        }
        Some(_) => LockStatus::Abandoned(format!("{KEY} since {value} belongs to a process that has ended")),
        None => LockStatus::SetByHand(value),
    })
}

/// Checks that `owner` still holds the lock, and renews it if that is due. Runs in each write transaction of
/// a tick, so that a tick that lost the lock writes nothing more; it fails with [`StoreError::LockLost`].
pub fn check(db: &Connection, owner: &str, now: Timestamp) -> StoreResult<()> {
    let Some(value) = find_value_of(db, owner)? else { return Err(StoreError::LockLost) };
    let renewed = Timestamp::parse(&value).unwrap_or(Timestamp::MIN);
    // Renew after the clock stepped backwards too: a time in the future would soon count as stale.
    if distance(now, renewed) >= RENEW {
        setting::set(db, KEY, &now.to_string())?;
        failpoint::at("lock.renewed-setting");
        db.execute("UPDATE sync_lock SET setting_value = ?", [now.to_string()])?;
        failpoint::at("lock.renewed");
    }
    Ok(())
}

/// Records the run of the lock's owner. Called inside a transaction that has checked the lock.
pub fn set_run(db: &Connection, run: i64) -> StoreResult<()> {
    db.execute("UPDATE sync_lock SET run_id = ?", [run])?;
    Ok(())
}

/// Returns the run of the lock's owner.
pub(crate) fn find_run(db: &Connection) -> StoreResult<Option<i64>> {
    let mut query = db.prepare_cached("SELECT run_id FROM sync_lock")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Returns true if another run waits for `owner` to release the lock.
pub fn is_release_requested(db: &Connection, owner: &str) -> StoreResult<bool> {
    let mut query = db.prepare_cached("SELECT release_requested FROM sync_lock WHERE owner = ?")?;
    Ok(query.query_row([owner], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Releases the lock if `owner` still holds it; returns true if another run waits for it.
pub fn release(db: &Connection, owner: &str) -> StoreResult<bool> {
    if find_value_of(db, owner)?.is_none() {
        return Ok(false);
    }
    let is_requested = is_release_requested(db, owner)?;
    setting::unset(db, KEY)?;
    failpoint::at("lock.cleared-setting");
    db.execute("DELETE FROM sync_lock", [])?;
    failpoint::at("lock.cleared");
    Ok(is_requested)
}

/// Returns the setting's value if `owner` wrote it.
fn find_value_of(db: &Connection, owner: &str) -> StoreResult<Option<String>> {
    let value = setting::get(db, KEY)?.unwrap_or_default();
    Ok(find_row(db)?.filter(|row| row.owner == owner && row.setting_value == value).map(|_| value))
}

struct LockRow {
    owner: String,
    setting_value: String,
    kind: String,
}

fn find_row(db: &Connection) -> StoreResult<Option<LockRow>> {
    let mut query = db.prepare_cached("SELECT owner, setting_value, kind FROM sync_lock")?;
    let row = query.query_row([], |row| {
        Ok(LockRow { owner: row.get(0)?, setting_value: row.get(1)?, kind: row.get(2)? })
    });
    Ok(row.optional()?)
}

fn distance(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

fn file_path(directory: &Path, token: &str) -> PathBuf {
    directory.join(format!("{FILE_PREFIX}{token}.lock"))
}

/// Deletes the files of dead owners. A file that cannot be read or deleted does no harm.
fn delete_dead_files(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with(FILE_PREFIX) && name.ends_with(".lock") && !is_locked(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn take(db: &Connection, directory: &Path, owner: &str, now: Timestamp) -> StoreResult<TakeResult> {
        super::take(db, directory, owner, RunKind::Tick, now)
    }

    fn database() -> Connection {
        crate::store::engine::open::in_memory()
    }

    #[test]
    fn a_second_tick_is_skipped_until_the_first_releases() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let (first, second) =
            (LockOwner::prepare(directory.path()).unwrap(), LockOwner::prepare(directory.path()).unwrap());
        let now = at("2026-11-21T08:00:00Z");
        assert_eq!(take(&db, directory.path(), first.token(), now), Ok(TakeResult::Free));
        let held = TakeResult::Held { since: "2026-11-21T08:00:00Z".into(), yields_soon: false };
        assert_eq!(take(&db, directory.path(), second.token(), now), Ok(held));
        release(&db, second.token()).unwrap();
        assert_eq!(check(&db, first.token(), now), Ok(()), "nobody releases another's lock");
        release(&db, first.token()).unwrap();
        assert_eq!(take(&db, directory.path(), second.token(), now), Ok(TakeResult::Free));
    }

    #[test]
    fn a_holder_that_is_no_tick_yields_and_learns_that_a_run_waits() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let now = at("2026-11-21T08:00:00Z");
        for kind in [RunKind::Part, RunKind::Backfill] {
            let (first, second) = (
                LockOwner::prepare(directory.path()).unwrap(),
                LockOwner::prepare(directory.path()).unwrap(),
            );
            super::take(&db, directory.path(), first.token(), kind, now).unwrap();
            let held = TakeResult::Held { since: "2026-11-21T08:00:00Z".into(), yields_soon: true };
            let backfill = super::take(&db, directory.path(), second.token(), RunKind::Backfill, now);
            assert_eq!((backfill, is_release_requested(&db, first.token())), (Ok(held.clone()), Ok(false)));
            assert_eq!(take(&db, directory.path(), second.token(), now), Ok(held));
            assert_eq!(is_release_requested(&db, first.token()), Ok(true));
            assert_eq!(
                is_release_requested(&db, second.token()),
                Ok(false),
                "nobody waits for a run without the lock"
            );
            assert_eq!(release(&db, first.token()), Ok(true));
        }
    }

    #[test]
    fn the_lock_of_a_dead_process_is_reclaimed_at_once() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let now = at("2026-11-21T08:00:00Z");
        let dead = LockOwner::prepare(directory.path()).unwrap();
        take(&db, directory.path(), dead.token(), now).unwrap();
        drop(dead);
        let heir = LockOwner::prepare(directory.path()).unwrap();
        let taken = take(&db, directory.path(), heir.token(), now).unwrap();
        assert!(matches!(taken, TakeResult::Reclaimed(_)), "{taken:?}");
    }

    #[test]
    fn files_of_dead_owners_are_deleted_and_those_of_living_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let living = LockOwner::prepare(directory.path()).unwrap();
        let dead = file_path(directory.path(), "0123");
        File::create(&dead).unwrap();
        let third = LockOwner::prepare(directory.path()).unwrap();
        assert!(!dead.exists() && living.path.exists() && third.path.exists());
        assert!(is_locked(&living.path));
    }

    #[test]
    fn a_lock_set_by_hand_is_obeyed_while_fresh_and_reclaimed_when_stale_or_unreadable() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let now = at("2026-11-21T08:00:00Z");
        for (value, held) in [
            ("2026-11-21T07:30:01Z", true),
            ("2026-11-21T08:29:59Z", true),
            ("2026-11-21T07:30:00Z", false),
            ("2026-11-21T09:00:00Z", false),
            ("true", false),
        ] {
            setting::set(&db, KEY, value).unwrap();
            let taken = take(&db, directory.path(), "somebody", now).unwrap();
            assert_eq!(matches!(taken, TakeResult::Held { .. }), held, "{value}: {taken:?}");
        }
    }

    #[test]
    fn a_run_that_lost_the_lock_fails_closed() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let (victim, thief) =
            (LockOwner::prepare(directory.path()).unwrap(), LockOwner::prepare(directory.path()).unwrap());
        let now = at("2026-11-21T08:00:00Z");
        take(&db, directory.path(), victim.token(), now).unwrap();
        let later = at("2026-11-21T08:31:00Z");
        take(&db, directory.path(), thief.token(), later).unwrap();
        assert_eq!(check(&db, victim.token(), later), Err(StoreError::LockLost));
        release(&db, victim.token()).unwrap();
        assert_eq!(check(&db, thief.token(), later), Ok(()));
    }

    #[test]
    fn progress_renews_the_timestamp() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let hold = LockOwner::prepare(directory.path()).unwrap();
        take(&db, directory.path(), hold.token(), at("2026-11-21T08:00:00Z")).unwrap();
        check(&db, hold.token(), at("2026-11-21T08:02:00Z")).unwrap();
        assert_eq!(setting::get(&db, KEY).unwrap().as_deref(), Some("2026-11-21T08:02:00Z"));
        // The clock has stepped back.
        check(&db, hold.token(), at("2026-11-21T07:03:00Z")).unwrap();
        assert_eq!(setting::get(&db, KEY).unwrap().as_deref(), Some("2026-11-21T07:03:00Z"));
    }
}
