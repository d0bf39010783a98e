//! The database file is private, refused if it belongs to another program, and never partially written.

use std::os::unix::fs::PermissionsExt;

use crate::support::harness::*;

fn refuses(world: &World, told: &str) {
    let before = std::fs::read(world.database()).unwrap();
    for arguments in [&["seed"][..], &["poll"], &["patient", "list"], &["migrate", "status"]] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(told) && ran.stderr.contains("jhe-ow.sqlite3"), "{ran:?}");
    }
    assert_eq!(std::fs::read(world.database()).unwrap(), before, "the file is intact");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let world = World::bare();
    std::fs::create_dir(world.data_dir()).unwrap();
    std::fs::write(world.database(), "my diary, not a database, and longer than a header").unwrap();
    refuses(&world, "is not a SQLite database");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let world = World::bare();
    std::fs::create_dir(world.data_dir()).unwrap();
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.execute_batch("CREATE TABLE diary (entry TEXT)").unwrap();
    drop(db);
    refuses(&world, "is a database of another program");
}

#[test]
fn a_database_that_is_newer_than_the_program_is_refused() {
    let world = World::new();
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.execute("INSERT INTO refinery_schema_history VALUES (9999, 'later', '2027-01-01T00:00:00Z', '1')", [])
        .unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    let told = "was written by a newer jhe-ow (schema 9999, this program knows ";
    refuses(&world, told);
    // Every command that opens the store; the daemon waits instead, see `unavailable_store.rs`. The same with another
    // key or JHE configured.
    let (before, beside) = (std::fs::read(world.database()).unwrap(), names(&world.data_dir()));
    let copy = world.directory.path().join("copy.sqlite3");
    let copy = copy.to_str().unwrap();
    let mut world = world;
    world.set("JHE_BASE_URL", "http://127.0.0.1:1");
    world.set("JHE_CLIENT_KEY", "a2V5");
    for arguments in [
        &["observations"][..],
        &["export"],
        &["adopt", "--dry-run"],
        &["patient", "add", "--name", "A"],
        &["admin", "list"],
        &["audit", "verify"],
        &["settings", "list"],
        &["settings", "set", "module.ow", "false"],
        &["backup", copy],
        &["rejected", "list"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains(told) && ran.stderr.contains("nothing was changed"),
            "{arguments:?}: {ran:?}"
        );
    }
    assert_eq!(std::fs::read(world.database()).unwrap(), before, "the file is unchanged");
    assert_eq!(names(&world.data_dir()), beside);
    assert!(!std::path::Path::new(copy).exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_reported() {
    let mut world = World::bare();
    // No path can be created below a regular file, even by root.
    let file = world.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    world.set("JHE_OW_CONFIG", "");
    let ran = world.run(&["seed", "--data-dir", file.join("below").to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot be made") && ran.stderr.contains("--data-dir"), "{ran:?}");
    // systemd leaves such a dangling link for users without access to the credential.
    let link = world.directory.path().join("link");
    std::os::unix::fs::symlink(world.directory.path().join("gone"), &link).unwrap();
    let ran = world.run(&["seed", "--data-dir", link.to_str().unwrap()]);
    assert!(ran.code == 1 && ran.stderr.contains("link cannot be reached: No such file"), "{ran:?}");
}

#[test]
fn only_the_owner_may_read_patients_data() {
    let world = World::new();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.data_dir()), 0o700);
    for name in names(&world.data_dir()) {
        assert_eq!(mode(&world.data_dir().join(&name)), 0o600, "{name}");
    }
    let exporting = crate::support::connected_world::Scene::new();
    assert_eq!(exporting.export().code, 0);
    assert_eq!(mode(&exporting.world.data_dir().join("export.lock")), 0o600);
    std::fs::set_permissions(world.database(), std::fs::Permissions::from_mode(0o644)).unwrap();
    world.run(&["patient", "list"]);
    assert_eq!(mode(&world.database()), 0o600, "permissions are restricted again");
}

#[test]
fn showing_the_schema_changes_nothing() {
    let world = World::bare();
    let ran = world.run(&["migrate", "status"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            0,
            "V1  schema  pending\nV2  suspect  pending\nV3  restores  pending\nV4  dataset  pending\nV5  sign_in  pending\nV6  roles  pending\nV7  collection_window  pending\n\
             V8  mails  pending\nV9  languages  pending\nV10  study_pages  pending\nV11  reading  pending\n"
        )
    );
    assert!(!world.data_dir().exists());
    world.run(&["seed"]);
    assert!(world.run(&["migrate", "status"]).stdout.starts_with("V1  schema  applied 20"));
}

#[test]
fn seeding_twice_changes_nothing() {
    let world = World::bare();
    assert_eq!(world.run(&["seed"]).stdout, "made 109 codes and data sources\n");
    assert_eq!(world.run(&["seed"]).stdout, "everything was there already\n");
}

#[test]
fn the_audit_is_append_only() {
    let world = World::new();
    world.patient();
    let db = rusqlite::Connection::open(world.database()).unwrap();
    for change in ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries"] {
        let error = db.execute(change, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    let actions: i64 = db.query_row("SELECT count(*) FROM audit_entries", [], |row| row.get(0)).unwrap();
    assert!(actions >= 5, "entries: seed, setting, patient, link, consent");
}

#[test]
fn no_lock_files_are_left_behind() {
    let world = World::new();
    world.patient();
    world.created();
    assert!(!names(&world.data_dir()).iter().any(|name| name.starts_with("tick-")));
}
