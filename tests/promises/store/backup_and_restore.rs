//! A backup holds everything committed before it began; after a restore everything is read again and nothing is
//! duplicated.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::connected_world::Scene;
use crate::support::harness::*;
use crate::support::running_daemon::*;

fn backup(world: &World, name: &str) -> PathBuf {
    let file = world.directory.path().join(name);
    let ran = world.run(&["backup", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("checked"), "{ran:?}");
    file
}

fn restore(world: &World, file: &Path, more: &[&str]) -> Ran {
    world.run(&[&["restore", file.to_str().unwrap()], more].concat())
}

fn one<T: rusqlite::types::FromSql>(file: &Path, query: &str) -> T {
    rusqlite::Connection::open(file).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn after_a_restore_everything_comes_back_and_nothing_arrives_twice() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 5);
    assert_eq!(scene.world.created(), 60);
    scene.export();
    scene.world.pass(HOUR);
    scene.fill(&user, 1);
    scene.world.created();
    let file = backup(&scene.world, "before.sqlite3");
    assert_eq!(one::<i64>(&file, "SELECT count(*) FROM observations"), 72);
    // More samples arrive and are delivered; then the disk fails.
    scene.world.pass(HOUR * 3);
    scene.fill(&user, 3);
    scene.world.created();
    scene.export();
    assert_eq!(scene.jhe.instants(40001).len(), 108);
    std::fs::remove_dir_all(scene.world.data_dir()).unwrap();
    let ran = restore(&scene.world, &file, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("restored 72 observations"), "{ran:?}");
    let look_ups = scene.jhe.state().look_ups;
    scene.world.pass(HOUR);
    scene.fill(&user, 1);
    scene.world.created();
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 60") && ran.stdout.contains("refused 0"), "{ran:?}");
    assert_eq!(
        scene.jhe.state().look_ups,
        look_ups + 1,
        "one request looks up the observations that JHE already has"
    );
    assert_eq!(scene.world.kept(&patient), scene.world.sim.heart_rates(&user));
    assert!(scene.is_delivered(40001, &patient));
    let state = scene.jhe.state();
    let names: BTreeSet<_> = state.kept.iter().map(|kept| kept.identifier.clone()).collect();
    assert_eq!((names.len(), state.kept.len()), (120, 120));
}

#[test]
fn a_value_that_changed_after_a_lost_delivery_reaches_jhe_under_the_next_free_revision() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    let file = backup(&scene.world, "before.sqlite3");
    let measured = scene.world.now.minus(HOUR);
    let send = |scene: &mut Scene, value: f64| {
        scene.world.sim.put(&user, measured, value);
        assert_eq!(scene.world.run(&["poll", "--window", "2d"]).code, 0);
        // After a restore, a patient is polled before anything is sent.
        assert_eq!(scene.world.poll().code, 0);
        scene.world.pass(HOUR * 7);
        scene.export()
    };
    let values = |scene: &Scene| {
        let state = scene.jhe.state();
        let revision =
            |name: &str| name.split_once('#').map_or(String::new(), |(_, revision)| revision.to_owned());
        state.kept.iter().map(|kept| (revision(&kept.identifier.1), kept.value())).collect::<Vec<_>>()
    };
    let of = |list: &[(&str, f64)]| {
        list.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>()
    };
    send(&mut scene, 80.0);
    send(&mut scene, 81.0);
    assert_eq!(values(&scene), of(&[("", 80.0), ("r1", 81.0)]));
    // The restored store knows no value. JHE already has two, so 82 becomes the third.
    let reset = |scene: &Scene| {
        std::fs::remove_dir_all(scene.world.data_dir()).unwrap();
        assert_eq!(restore(&scene.world, &file, &[]).code, 0);
    };
    reset(&scene);
    let ran = send(&mut scene, 82.0);
    assert!(ran.stdout.contains("Delivered 1") && ran.stdout.contains("to be sent again 1"), "{ran:?}");
    assert_eq!(values(&scene), of(&[("", 80.0), ("r1", 81.0), ("r2", 82.0)]));
    assert!(scene.world.run(&["doctor"]).stdout.contains("nothing waits"));
    // OW returns to an earlier value of JHE; JHE's newest value is different.
    reset(&scene);
    send(&mut scene, 80.0);
    assert_eq!(values(&scene).last(), of(&[("r3", 80.0)]).first());
    // JHE's newest value is the current one: nothing is sent.
    reset(&scene);
    send(&mut scene, 80.0);
    assert_eq!(values(&scene).len(), 4);
    // The next change continues from there.
    send(&mut scene, 83.0);
    assert_eq!(values(&scene).last(), of(&[("r4", 83.0)]).first(), "{:?}", values(&scene));
    assert_eq!(scene.world.kept(&patient).len(), 1);
}

#[test]
fn a_backup_while_the_daemon_writes_is_whole_and_has_what_was_committed_before() {
    let world = World::new();
    world.setting("ow.poll_interval", "1s");
    let people: Vec<_> = (0..4).map(|_| world.patient()).collect();
    let served = Served::start(&world);
    let mut least = 0;
    for round in 0..8_u64 {
        for (user, _) in &people {
            let from = world.now.minus(HOUR * 23);
            world.sim.fill(user, from, world.now, std::time::Duration::from_secs(600 / (round + 1)), round);
        }
        until("more samples are stored", || {
            one::<i64>(&world.database(), "SELECT count(*) FROM observations") > least
        });
        least = one(&world.database(), "SELECT count(*) FROM observations");
        let file = backup(&world, &format!("{round}.sqlite3"));
        assert!(one::<i64>(&file, "SELECT count(*) FROM observations") >= least);
        assert_eq!(one::<String>(&file, "PRAGMA integrity_check"), "ok");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(least > 0);
    assert!(!names(world.directory.path()).iter().any(|name| name.contains("unfinished")));
    let ran = served.stop("TERM");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_backup_overwrites_a_file_on_request_only() {
    let world = World::new();
    let file = backup(&world, "one.sqlite3");
    let path = file.to_str().unwrap();
    let ran = world.run(&["backup", path]);
    assert!(ran.code == 1 && ran.stderr.contains("is there already"), "{ran:?}");
    assert_eq!(world.run(&["backup", path, "--force"]).code, 0);
    let store = world.database();
    let ran = world.run(&["backup", store.to_str().unwrap(), "--force"]);
    assert!(ran.code == 2 && ran.stderr.contains("is the store itself"), "{ran:?}");
    let ran = world.run(&["backup", "/nowhere/at/all.sqlite3"]);
    assert!(ran.code == 1 && ran.stderr.contains("cannot be written"), "{ran:?}");
}

#[test]
fn a_restore_over_a_store_in_use_is_refused() {
    let world = World::new();
    let file = backup(&world, "one.sqlite3");
    let served = Served::start(&world);
    let ran = restore(&world, &file, &["--force"]);
    assert!(ran.code == 1 && ran.stderr.contains("is in use"), "{ran:?}");
    served.stop("TERM");
    // The same is refused while another program has the store open.
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.query_row("SELECT count(*) FROM settings", [], |_| Ok(())).unwrap();
    let ran = restore(&world, &file, &["--force"]);
    assert!(ran.code == 1 && ran.stderr.contains("is in use"), "{ran:?}");
    drop(db);
    assert_eq!(restore(&world, &file, &["--force"]).code, 0);
}

#[test]
fn a_newer_store_is_replaced_on_request_only_and_kept_aside() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    let file = backup(&world, "one.sqlite3");
    world.pass(HOUR);
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 12);
    let ran = restore(&world, &file, &[]);
    assert!(ran.code == 1 && ran.stderr.contains("newer than the backup, or has more"), "{ran:?}");
    assert_eq!(world.kept(&patient).len(), 12);
    let ran = restore(&world, &file, &["--force"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(world.kept(&patient).is_empty());
    let kept = ran.stdout.trim().rsplit(' ').next().unwrap();
    assert_eq!(one::<i64>(Path::new(kept), "SELECT count(*) FROM observations"), 12);
    assert_eq!(world.created(), 12, "polling restores the data that the backup lacks");
}

#[test]
fn an_unsound_backup_is_not_restored() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    world.created();
    let kept = world.kept(&patient);
    let good = std::fs::read(backup(&world, "good.sqlite3")).unwrap();
    let bad = world.directory.path().join("bad.sqlite3");
    let refuses = |told: &str| {
        let ran = restore(&world, &bad, &["--force"]);
        assert!(ran.code == 1 && ran.stderr.contains(told), "{told}: {ran:?}");
        assert_eq!(world.kept(&patient), kept, "{told}");
    };
    std::fs::write(&bad, "a letter, and longer than a header").unwrap();
    refuses("is not a SQLite database");
    std::fs::write(&bad, "").unwrap();
    refuses("is empty");
    std::fs::write(&bad, &good[..good.len() / 2]).unwrap();
    refuses("damaged");
    let mut torn = good.clone();
    let middle = torn.len() / 2;
    torn[middle..middle + 8192].fill(0xA5);
    std::fs::write(&bad, &torn).unwrap();
    refuses("damaged");
    std::fs::write(&bad, &good).unwrap();
    let later = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '2027-01-01T00:00:00Z', '1')";
    rusqlite::Connection::open(&bad).unwrap().execute(later, []).unwrap();
    refuses("newer jhe-ow");
}

#[test]
fn a_damaged_store_is_replaced_together_with_its_wal() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.created();
    let kept = world.kept(&patient);
    let file = backup(&world, "one.sqlite3");
    std::fs::write(world.database(), "torn to pieces").unwrap();
    let log = world.data_dir().join("jhe-ow.sqlite3-wal");
    std::fs::write(&log, "what is left of a log").unwrap();
    let ran = restore(&world, &file, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.kept(&patient), kept);
    let aside = |end: &str| {
        let names = names(&world.data_dir()).into_iter();
        let name = names.filter(|name| name.contains(".replaced-")).find(|name| name.ends_with(end));
        std::fs::read_to_string(world.data_dir().join(name.unwrap())).unwrap()
    };
    assert_eq!((aside("Z"), aside("Z-wal")), ("torn to pieces".into(), "what is left of a log".into()));
}

#[test]
fn a_wal_without_its_database_is_not_deleted() {
    let world = World::new();
    let log = world.data_dir().join("jhe-ow.sqlite3-wal");
    std::fs::remove_file(world.database()).unwrap();
    std::fs::write(&log, "what nothing else has").unwrap();
    let ran = world.run(&["patient", "list"]);
    assert!(ran.code == 1 && ran.stderr.contains("is missing, and its log"), "{ran:?}");
    assert_eq!(std::fs::read(&log).unwrap(), b"what nothing else has");
    assert!(!world.database().exists());
}

#[test]
fn the_daemon_makes_and_rotates_backups_and_reports_failures() {
    let mut world = World::new();
    let directory = world.directory.path().join("elsewhere");
    world.setting("backup.directory", directory.to_str().unwrap());
    world.setting("backup.keep", "2");
    let made = |world: &World| {
        let served = Served::start(world);
        let operator = served.operator(world);
        until("the page shows a backup", || !operator.get("/admin/system").body.contains("none yet"));
        let body = operator.get("/admin/system").body;
        served.stop("TERM");
        between(&body, "Last backup", "</div>").unwrap().to_owned()
    };
    for _ in 0..3 {
        assert!(!made(&world).contains("class=\"bad\""));
        world.pass(DAY);
    }
    let mut kept = names(&directory);
    kept.sort();
    assert_eq!(kept, ["jhe-ow-20261122T120000Z.sqlite3", "jhe-ow-20261123T120000Z.sqlite3"]);
    assert!(restore(&world, &directory.join(&kept[1]), &["--force"]).code == 0);
    // No path can be created below a regular file, even by root.
    let file = world.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    world.setting("backup.directory", file.join("below").to_str().unwrap());
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the page shows the failed backup", || {
        operator.get("/admin/system").body.contains("the directory of backups")
    });
}

#[test]
fn a_backup_to_standard_output_is_whole_or_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.created();
    let kept = world.kept(&patient);
    let made = world.command(&["backup", "-"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(String::from_utf8_lossy(&made.stderr).contains("standard output: "), "{:?}", made.stderr);
    let file = world.directory.path().join("piped.sqlite3");
    std::fs::write(&file, &made.stdout).unwrap();
    assert_eq!(one::<String>(&file, "PRAGMA integrity_check"), "ok");
    let is_tidy = || !names(&world.data_dir()).iter().any(|name| name.contains("unfinished"));
    assert!(is_tidy());
    // If the reader closes the pipe, the exit code reports the incomplete backup.
    let ran = world.shell("set -o pipefail; jhe-ow backup - | head --bytes 1000 > cut").output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("is incomplete"), "{ran:?}");
    assert!(is_tidy());
    // `script` provides a terminal.
    let mut terminal = world.shell("script --quiet --return --command 'jhe-ow backup -' /dev/null");
    match terminal.output() {
        Ok(shown) if shown.status.code() == Some(127) => eprintln!("script is not here to be a terminal"),
        shown => {
            let shown = shown.unwrap();
            let said = String::from_utf8_lossy(&shown.stdout);
            assert!(
                shown.status.code() == Some(2) && said.contains("is not written to a terminal"),
                "{shown:?}"
            );
        }
    }
    std::fs::remove_dir_all(world.data_dir()).unwrap();
    let none = world.command(&["backup", "-"]).output().unwrap();
    assert!(none.status.code() == Some(1) && none.stdout.is_empty(), "{none:?}");
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no store in"), "{none:?}");
    assert_eq!(restore(&world, &file, &[]).code, 0);
    assert_eq!(world.kept(&patient), kept);
    let damaged = std::fs::OpenOptions::new().write(true).open(world.database()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &[0xA5; 8192], 16 * 4096).unwrap();
    let torn = world.command(&["backup", "-"]).output().unwrap();
    assert!(torn.status.code() == Some(1) && torn.stdout.is_empty(), "{torn:?}");
}
