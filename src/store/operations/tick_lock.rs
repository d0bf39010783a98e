//! The lock `ow.sync_in_progress`: a setting that operators see and may clear, a token that says whose
//! it is, and a file lock that says whether its holder still lives.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::store::engine::setting;
use crate::store::error::StoreError;

/// The setting that holds the timestamp of the tick that runs, empty when none does.
pub const KEY: &str = "ow.sync_in_progress";
/// A timestamp older than this was left behind: the predecessor's rule, which operators know.
pub const STALE: Duration = Duration::from_mins(30);
/// How often a tick that makes progress renews its timestamp: far below [`STALE`], and rare enough to
/// cost nothing.
const RENEW: Duration = Duration::from_mins(1);

/// How the names of the files begin by which the holders of tokens are known to live.
const ALIVE: &str = "tick-";

/// Proof that this tick holds the lock. Dropping it does not release the lock; see [`release`].
#[derive(Debug)]
pub struct Hold {
    owner: String,
    path: PathBuf,
    /// The operating system lets go of this lock when the process ends, however it ends.
    _alive: File,
}

/// What the lock is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tick: another tick steps aside.
    Tick,
    /// A poll of some patients only, because of hints or by hand: a tick waits for its end, which is near.
    Part,
    /// A slice of a backfill: a tick waits for its end, which is near.
    Backfill,
}

impl Kind {
    /// As the tables write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Part => "part",
            Self::Backfill => "backfill",
        }
    }
}

/// How taking the lock went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It was free.
    Free,
    /// It was left behind and was reclaimed; the text says why and is meant as a warning.
    Reclaimed(String),
    /// Somebody else holds it.
    Held {
        /// The setting's value.
        since: String,
        /// Whether the holder lets others in soon, as whoever is no tick does.
        gives_way: bool,
    },
}

impl Hold {
    /// Prepares to take the lock: draws a token and locks this tick's own file in `directory`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn prepare(directory: &Path) -> Result<Self, StoreError> {
        clear_dead(directory);
        loop {
            let mut token = [0; 16];
            getrandom::fill(&mut token)
                .map_err(|error| StoreError::Other(format!("no randomness: {error}")))?;
            let owner = uuid::Builder::from_random_bytes(token).into_uuid().simple().to_string();
            let path = alive_path(directory, &owner);
            let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
            failpoint::at("lock.file");
            let alive = opened
                .and_then(|file| file.lock().map(|()| file))
                .map_err(|error| StoreError::Other(format!("{} cannot be made: {error}", path.display())))?;
            failpoint::at("lock.prepared");
            // Before it was locked, another process may have taken it for a dead one's and cleared it away.
            if path.exists() {
                return Ok(Self { owner, path, _alive: alive });
            }
        }
    }

    /// The token under which the rows of this tick are written.
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes the lock for `owner`, or says who has it.
///
/// # Errors
/// Where the store cannot be read or written.
pub fn take(
    db: &Connection,
    directory: &Path,
    owner: &str,
    kind: Kind,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let value = setting::get(db, KEY)?.unwrap_or_default();
    let taken = judge(db, directory, &value, now)?;
    match &taken {
        Taken::Held { gives_way: true, .. } if kind != Kind::Backfill => {
            db.execute("UPDATE sync_lock SET release_requested = 1", [])?;
        }
        Taken::Held { .. } => {}
        Taken::Free | Taken::Reclaimed(_) => {
            setting::set(db, KEY, &now.to_string())?;
            failpoint::at("lock.setting");
            db.execute(
                "INSERT OR REPLACE INTO sync_lock (id, owner, setting_value, kind) VALUES (1, ?, ?, ?)",
                [owner, &now.to_string(), kind.as_str()],
            )?;
            failpoint::at("lock.row");
        }
    }
    Ok(taken)
}

fn judge(db: &Connection, directory: &Path, value: &str, now: Timestamp) -> Result<Taken, StoreError> {
    if value.is_empty() {
        return Ok(Taken::Free);
    }
    let Ok(since) = Timestamp::parse(value) else {
        return Ok(Taken::Reclaimed(format!("{KEY} holds '{value}', which is no time: reclaimed")));
    };
    // A timestamp of the future is judged by its distance too: clocks step backwards.
    let age = now.since(since).max(since.since(now));
    if age >= STALE {
        return Ok(Taken::Reclaimed(format!("{KEY} stood since {value} without renewal: reclaimed")));
    }
    let ours = holder(db)?.filter(|holder| holder.value == value);
    match ours {
        Some(holder) if !is_alive(directory, &holder.owner) => Ok(Taken::Reclaimed(format!(
            "{KEY} since {value} belongs to a process that has ended: reclaimed"
        ))),
        ours => Ok(Taken::Held {
            since: value.to_owned(),
            gives_way: ours.is_some_and(|holder| holder.kind != Kind::Tick.as_str()),
        }),
    }
}

/// How the lock stands, for somebody who only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has it.
    Free,
    /// A process that lives has it.
    Held {
        /// When it was taken, or renewed last.
        since: String,
        /// Whether a tick has it, which ends as one: a backfill may hold it for days, slice by slice.
        by_tick: bool,
    },
    /// It was set by hand, or by another program: ticks step aside for [`STALE`].
    ByHand(String),
    /// The next tick reclaims it; the text says why.
    LeftBehind(String),
}

/// Looks how the lock stands. Changes nothing.
///
/// # Errors
/// Where the tables cannot be read.
pub fn look(db: &Connection, directory: &Path, now: Timestamp) -> Result<Standing, StoreError> {
    let value = setting::get(db, KEY)?.unwrap_or_default();
    if value.is_empty() {
        return Ok(Standing::Free);
    }
    let Ok(since) = Timestamp::parse(&value) else {
        return Ok(Standing::LeftBehind(format!("{KEY} holds '{value}', which is no time")));
    };
    let is_stale = now.since(since).max(since.since(now)) >= STALE;
    let ours = holder(db)?.filter(|holder| holder.value == value);
    Ok(match ours {
        _ if is_stale => Standing::LeftBehind(format!("{KEY} stands since {value} without renewal")),
        Some(holder) if holds(&alive_path(directory, &holder.owner)) => {
            Standing::Held { since: value, by_tick: holder.kind == Kind::Tick.as_str() }
        }
        Some(_) => Standing::LeftBehind(format!("{KEY} since {value} belongs to a process that has ended")),
        None => Standing::ByHand(value),
    })
}

/// Checks that `owner` still holds the lock, and renews its timestamp where that is due. Called inside
/// each transaction of a tick, so that one whose lock was taken or cleared writes nothing more.
///
/// # Errors
/// [`StoreError::LockLost`] where it does not.
pub fn check(db: &Connection, owner: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some(value) = held_by(db, owner)? else { return Err(StoreError::LockLost) };
    let renewed = Timestamp::parse(&value).unwrap_or(Timestamp::MIN);
    // After a step backwards too, or it would soon be taken for stale.
    if now.since(renewed).max(renewed.since(now)) >= RENEW {
        setting::set(db, KEY, &now.to_string())?;
        failpoint::at("lock.renewed-setting");
        db.execute("UPDATE sync_lock SET setting_value = ?", [now.to_string()])?;
        failpoint::at("lock.renewed");
    }
    Ok(())
}

/// Records the run of the lock's owner. Called inside a transaction that has checked the lock.
///
/// # Errors
/// Where the table cannot be written.
pub fn set_run(db: &Connection, run: i64) -> Result<(), StoreError> {
    db.execute("UPDATE sync_lock SET run_id = ?", [run])?;
    Ok(())
}

/// Returns the run of the lock's owner.
pub(crate) fn run(db: &Connection) -> Result<Option<i64>, StoreError> {
    let mut query = db.prepare_cached("SELECT run_id FROM sync_lock")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Whether somebody waits for `owner` to let go of the lock.
///
/// # Errors
/// Where the table cannot be read.
pub fn is_wanted(db: &Connection, owner: &str) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT release_requested FROM sync_lock WHERE owner = ?")?;
    Ok(query.query_row([owner], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Clears the lock where `owner` still holds it; another's is left alone. Answers whether somebody waits.
///
/// # Errors
/// Where the store cannot be written.
pub fn release(db: &Connection, owner: &str) -> Result<bool, StoreError> {
    if held_by(db, owner)?.is_none() {
        return Ok(false);
    }
    let wanted = db.query_row("SELECT release_requested FROM sync_lock", [], |row| row.get(0))?;
    setting::unset(db, KEY)?;
    failpoint::at("lock.cleared-setting");
    db.execute("DELETE FROM sync_lock", [])?;
    failpoint::at("lock.cleared");
    Ok(wanted)
}

/// The setting's value, where it is the one that `owner` wrote.
fn held_by(db: &Connection, owner: &str) -> Result<Option<String>, StoreError> {
    let value = setting::get(db, KEY)?.unwrap_or_default();
    let holder = holder(db)?.filter(|holder| holder.owner == owner && holder.value == value);
    Ok(holder.map(|holder| holder.value))
}

struct Holder {
    owner: String,
    value: String,
    kind: String,
}

fn holder(db: &Connection) -> Result<Option<Holder>, StoreError> {
    let mut query = db.prepare_cached("SELECT owner, setting_value, kind FROM sync_lock")?;
    let holder =
        query.query_row([], |row| Ok(Holder { owner: row.get(0)?, value: row.get(1)?, kind: row.get(2)? }));
    Ok(holder.optional()?)
}

fn alive_path(directory: &Path, owner: &str) -> PathBuf {
    directory.join(format!("{ALIVE}{owner}.lock"))
}

/// Clears away the files of processes that died without holding the lock, which nobody else would. What cannot be read
/// or removed does no harm.
fn clear_dead(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(ALIVE)?.strip_suffix(".lock"));
        if let Some(owner) = owner {
            is_alive(directory, owner);
        }
    }
}

/// Whether the process that drew this token still holds its file; the file of one that does not is
/// cleared away.
fn is_alive(directory: &Path, owner: &str) -> bool {
    let path = alive_path(directory, owner);
    let alive = holds(&path);
    if !alive {
        let _ = fs::remove_file(&path);
    }
    alive
}

/// Whether a process holds this file.
fn holds(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn take(db: &Connection, directory: &Path, owner: &str, now: Timestamp) -> Result<Taken, StoreError> {
        crate::store::operations::tick_lock::take(db, directory, owner, Kind::Tick, now)
    }

    fn database() -> Connection {
        crate::store::engine::open::in_memory()
    }

    #[test]
    fn a_second_tick_steps_aside_until_the_first_releases() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let (first, second) =
            (Hold::prepare(directory.path()).unwrap(), Hold::prepare(directory.path()).unwrap());
        let now = at("2026-11-21T08:00:00Z");
        assert_eq!(take(&db, directory.path(), first.owner(), now), Ok(Taken::Free));
        let held = Taken::Held { since: "2026-11-21T08:00:00Z".into(), gives_way: false };
        assert_eq!(take(&db, directory.path(), second.owner(), now), Ok(held));
        release(&db, second.owner()).unwrap();
        assert_eq!(check(&db, first.owner(), now), Ok(()), "nobody releases another's lock");
        release(&db, first.owner()).unwrap();
        assert_eq!(take(&db, directory.path(), second.owner(), now), Ok(Taken::Free));
    }

    #[test]
    fn who_is_no_tick_gives_way_and_learns_who_waits() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let now = at("2026-11-21T08:00:00Z");
        for kind in [Kind::Part, Kind::Backfill] {
            let (first, second) =
                (Hold::prepare(directory.path()).unwrap(), Hold::prepare(directory.path()).unwrap());
            crate::store::operations::tick_lock::take(&db, directory.path(), first.owner(), kind, now)
                .unwrap();
            let held = Taken::Held { since: "2026-11-21T08:00:00Z".into(), gives_way: true };
            let backfill = crate::store::operations::tick_lock::take(
                &db,
                directory.path(),
                second.owner(),
                Kind::Backfill,
                now,
            );
            assert_eq!((backfill, is_wanted(&db, first.owner())), (Ok(held.clone()), Ok(false)));
            assert_eq!(take(&db, directory.path(), second.owner(), now), Ok(held));
            assert_eq!(is_wanted(&db, first.owner()), Ok(true));
            assert_eq!(is_wanted(&db, second.owner()), Ok(false), "nobody waits for who does not hold it");
            assert_eq!(release(&db, first.owner()), Ok(true));
        }
    }

    #[test]
    fn the_lock_of_a_dead_process_is_reclaimed_at_once() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let now = at("2026-11-21T08:00:00Z");
        let dead = Hold::prepare(directory.path()).unwrap();
        take(&db, directory.path(), dead.owner(), now).unwrap();
        drop(dead);
        let heir = Hold::prepare(directory.path()).unwrap();
        let taken = take(&db, directory.path(), heir.owner(), now).unwrap();
        assert!(matches!(taken, Taken::Reclaimed(_)), "{taken:?}");
    }

    #[test]
    fn the_files_of_the_dead_are_cleared_away_and_those_of_the_living_stay() {
        let directory = tempfile::tempdir().unwrap();
        let living = Hold::prepare(directory.path()).unwrap();
        let dead = alive_path(directory.path(), "0123");
        File::create(&dead).unwrap();
        let third = Hold::prepare(directory.path()).unwrap();
        assert!(!dead.exists() && living.path.exists() && third.path.exists());
        assert!(is_alive(directory.path(), living.owner()));
    }

    #[test]
    fn a_timestamp_set_by_hand_is_obeyed_while_fresh_and_reclaimed_when_stale_or_unreadable() {
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
            assert_eq!(matches!(taken, Taken::Held { .. }), held, "{value}: {taken:?}");
        }
    }

    #[test]
    fn a_thief_wins_and_its_victim_fails_closed() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let (victim, thief) =
            (Hold::prepare(directory.path()).unwrap(), Hold::prepare(directory.path()).unwrap());
        let now = at("2026-11-21T08:00:00Z");
        take(&db, directory.path(), victim.owner(), now).unwrap();
        let later = at("2026-11-21T08:31:00Z");
        take(&db, directory.path(), thief.owner(), later).unwrap();
        assert_eq!(check(&db, victim.owner(), later), Err(StoreError::LockLost));
        release(&db, victim.owner()).unwrap();
        assert_eq!(check(&db, thief.owner(), later), Ok(()));
    }

    #[test]
    fn progress_renews_the_timestamp() {
        let (db, directory) = (database(), tempfile::tempdir().unwrap());
        let hold = Hold::prepare(directory.path()).unwrap();
        take(&db, directory.path(), hold.owner(), at("2026-11-21T08:00:00Z")).unwrap();
        check(&db, hold.owner(), at("2026-11-21T08:02:00Z")).unwrap();
        assert_eq!(setting::get(&db, KEY).unwrap().as_deref(), Some("2026-11-21T08:02:00Z"));
        // The clock has stepped back.
        check(&db, hold.owner(), at("2026-11-21T07:03:00Z")).unwrap();
        assert_eq!(setting::get(&db, KEY).unwrap().as_deref(), Some("2026-11-21T07:03:00Z"));
    }
}
