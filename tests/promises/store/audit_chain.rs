//! The audit chain is complete, or the check names the first entry that is not.

use crate::support::harness::*;

/// Returns a world with audit entries, its database without the append-only triggers, and the hash printed before
/// tampering.
fn audited() -> (World, rusqlite::Connection, String) {
    let world = World::new();
    world.patient();
    world.setting("ow.concurrency", "2");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let ran = world.run(&["audit", "verify"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let hash = ran.stdout.rsplit(' ').next().unwrap().trim().to_owned();
    assert_eq!(hash.len(), 64, "{ran:?}");
    let guards = "DROP TRIGGER audit_entries_no_update; DROP TRIGGER audit_entries_no_delete";
    db.execute_batch(guards).unwrap();
    (world, db, hash)
}

fn breaks(world: &World, told: &str) {
    let ran = world.run(&["audit", "verify"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("The audit is broken") && ran.stdout.contains(told), "{ran:?}");
}

#[test]
fn an_entry_of_the_audit_that_was_changed_is_found() {
    for change in [
        "actor = 'nobody'",
        "recorded_at = recorded_at + 1",
        "action = 'poll'",
        "patient_id = 9",
        "detail = detail || ' '",
    ] {
        let (world, db, _) = audited();
        assert_eq!(db.execute(&format!("UPDATE audit_entries SET {change} WHERE id = 3"), []).unwrap(), 1);
        breaks(&world, "entry 3 does not follow");
        world.setting("ow.concurrency", "3");
        breaks(&world, "entry 3 does not follow");
    }
}

#[test]
fn an_entry_of_the_audit_that_was_taken_out_is_found() {
    let (world, db, _) = audited();
    let last: i64 = db.query_row("SELECT max(id) FROM audit_entries", [], |row| row.get(0)).unwrap();
    db.execute("DELETE FROM audit_entries WHERE id = ?", [last]).unwrap();
    breaks(&world, &format!("the entries after {} were taken out: the newest was {last}", last - 1));
    world.setting("ow.concurrency", "3");
    breaks(&world, &format!("entry {} does not follow", last + 1));
    let (world, db, _) = audited();
    db.execute("DELETE FROM audit_entries WHERE id = 2", []).unwrap();
    breaks(&world, "entry 3 does not follow");
}

#[test]
fn an_entry_that_was_put_into_the_audit_is_found() {
    let (world, db, _) = audited();
    db.execute_batch(
        "INSERT INTO audit_entries (recorded_at, actor, action, detail, hash)
         SELECT recorded_at, actor, action, detail, hash FROM audit_entries WHERE id = 1",
    )
    .unwrap();
    let last: i64 = db.query_row("SELECT max(id) FROM audit_entries", [], |row| row.get(0)).unwrap();
    breaks(&world, &format!("entry {last} does not follow"));
}

#[test]
fn a_rewritten_audit_is_found_by_a_hash_recorded_elsewhere() {
    let (world, db, hash) = audited();
    world.setting("ow.concurrency", "3");
    let ran = world.run(&["audit", "verify", "--noted", &hash]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("nothing up to there has changed"), "{ran:?}");
    db.execute_batch("UPDATE audit_entries SET hash = zeroblob(32), actor = 'nobody'").unwrap();
    breaks(&world, "entry 1 does not follow");
    db.execute_batch("DELETE FROM audit_entries; DELETE FROM audit_chain_head").unwrap();
    world.setting("ow.concurrency", "4");
    assert_eq!(
        world.run(&["audit", "verify"]).code,
        0,
        "a completely rewritten chain is consistent in itself"
    );
    let ran = world.run(&["audit", "verify", "--noted", &hash]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("The hash is none of this audit's"), "{ran:?}");
    assert!(!ran.stdout.contains("The audit is whole"), "{ran:?}");
}

#[test]
fn the_audit_is_listed_newest_first() {
    let world = World::new();
    let (user, patient) = world.patient();
    let ran = world.run(&["audit", "list", "--patient-id", &patient, "--limit", "2"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(
        lines[0]
            .ends_with(&format!("command line  consent.grant  patient {patient}  {HEART_RATE} reason paper"))
    );
    assert!(lines[1].ends_with(&format!("patient.link  patient {patient}  ow:{user}")), "{ran:?}");
}
