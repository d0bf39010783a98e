//! Each write of a poll fails, once alone and once with all following writes. Lost work is read again, and commits
//! stay. A backup under the same faults is complete or absent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::harness::*;

/// "No space left on device" and "Input/output error".
const ERRORS: &[i32] = &[28, 5];
/// More writes than any command here makes.
const ENOUGH: usize = 2000;

/// Builds the library that makes writes fail; `None` without a C compiler.
fn library(world: &World) -> Option<PathBuf> {
    let library = world.directory.path().join("failing_writes.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/support/failing_writes.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
    let Ok(output) = built else {
        println!("not tested: this machine has no C compiler");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// Copies a data directory that no process has open.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Runs a command with its first write failing, then with its second, and so on, until no write fails; `check` gets
/// each result. Returns the number of writes.
fn each_write(
    world: &World,
    arguments: &[&str],
    errno: i32,
    once: bool,
    mut check: impl FnMut(&Ran),
) -> usize {
    let Some(library) = library(world) else { return 0 };
    let (before, mark) = (world.directory.path().join("before"), world.directory.path().join("failed"));
    copy(&world.data_dir(), &before);
    for nth in 1..ENOUGH {
        copy(&before, &world.data_dir());
        let _ = fs::remove_file(&mark);
        let mut command = world.command(arguments);
        command.env("LD_PRELOAD", &library).env("FAIL_UNDER", world.data_dir()).env("FAIL_MARK", &mark);
        command.env("FAIL_AT", nth.to_string()).env("FAIL_ERRNO", errno.to_string());
        command.env("FAIL_ONCE", if once { "1" } else { "0" });
        let output = command.output().unwrap();
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(
            [0, 1, 3].contains(&ran.code) && !ran.stderr.contains("panicked"),
            "write {nth} failed without an error: {ran:?}"
        );
        if !mark.exists() {
            assert_eq!(ran.code, 0, "no write failed, but the command did: {ran:?}");
            return nth - 1;
        }
        check(&ran);
    }
    panic!("the command makes more writes than expected");
}

fn poll_with_failing_writes(errno: i32, once: bool) {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    let samples = i64::try_from(world.sim.heart_rates(&user).len()).unwrap();
    let count = |kept: &str| {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        db.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let kept = "SELECT count(*) FROM observations";
    let writes = each_write(&world, &["poll"], errno, once, |ran| {
        let committed = count(kept);
        assert!(
            committed == 0 || committed == samples,
            "a page is stored completely or not at all: {committed}, {ran:?}"
        );
        if ran.code == 0 {
            assert_eq!(
                ran.created(),
                u64::try_from(committed).unwrap(),
                "the command reports the number of stored observations: {ran:?}"
            );
        }
        let again = world.poll();
        assert_eq!(again.code, 0, "{again:?} after {ran:?}");
        assert_eq!(count(kept), samples, "after {ran:?}");
        assert_eq!(count("SELECT count(*) FROM revisions"), 0, "no sample is stored twice");
    });
    println!("{writes} writes of a poll failed with {errno}, once={once}");
    assert!(writes > 20 || writes == 0, "{writes} writes: the library intercepts writes");
}

#[test]
fn a_failed_write_of_a_poll_loses_nothing() {
    for &errno in ERRORS {
        poll_with_failing_writes(errno, true);
    }
}

#[test]
fn a_disk_that_fails_during_a_poll_loses_nothing() {
    for &errno in ERRORS {
        poll_with_failing_writes(errno, false);
    }
}

#[test]
fn a_failed_backup_leaves_no_partial_file() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.created();
    let file = world.data_dir().join("copy");
    let writes = each_write(&world, &["backup", file.to_str().unwrap()], 28, true, |ran| {
        assert!(ran.code == 1 || file.exists(), "{ran:?}");
        if file.exists() {
            // The directory entry may not be on disk yet: then the command has failed, and the file is complete.
            let db = rusqlite::Connection::open(&file).unwrap();
            let kept = "SELECT count(*) FROM observations WHERE (SELECT integrity_check
             FROM pragma_integrity_check) = 'ok'";
            assert_eq!(db.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 12, "{ran:?}");
            let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "delete", "one file without a write-ahead log: {ran:?}");
            drop(db);
            fs::remove_file(&file).unwrap();
        }
        let left: Vec<String> = names(&world.data_dir());
        assert!(!left.iter().any(|name| name.contains("unfinished")), "{left:?}");
    });
    println!("{writes} writes of a backup failed");
}
