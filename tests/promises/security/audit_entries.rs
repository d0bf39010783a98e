//! The audit holds fixed words and ids only, and a flood of equal events is grouped.

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Returns the details of all entries with an action, oldest first.
fn details(world: &World, action: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let mut query = db.prepare("SELECT detail FROM audit_entries WHERE action = ? ORDER BY id").unwrap();
    query.query_map([action], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Counts the events that the entries represent.
fn count(details: &[String]) -> u64 {
    let repeats = |one: &String| one.split_once("repeated ").map_or(1, |(_, count)| count.parse().unwrap());
    details.iter().map(repeats).sum()
}

#[test]
fn what_a_visitor_sends_does_not_reach_the_audit_and_a_flood_is_counted() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let long = format!("/admin/accounts/Ms-Jones-{}", "x".repeat(200));
    for _ in 0..30 {
        assert_eq!(operator.post(&long, &[("form_token", "wrong")]).status, 403);
    }
    served.stop("TERM");
    let refused = details(&world, "form.refused");
    assert_eq!(count(&refused), 30, "{refused:?}");
    assert!(refused.len() < 10, "30 equal events are grouped into few entries: {refused:?}");
    assert!(refused.iter().all(|one| one.starts_with("form token missing or wrong") && one.len() < 60));
    assert_eq!(world.run(&["audit", "verify"]).code, 0);
}

#[test]
fn the_first_view_is_in_the_audit_before_the_answer_and_repeats_are_counted() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    assert_eq!(operator.get("/admin/patients").status, 200);
    assert_eq!(details(&world, "patients.view"), [""]);
    for patient in 1000..1010 {
        assert_eq!(
            operator.get(&format!("/admin/rejected?patient={patient}")).status,
            404,
            "the number of an unknown patient is not recorded"
        );
    }
    assert_eq!(details(&world, "rejected.view"), [""; 0]);
    for _ in 0..20 {
        assert_eq!(operator.get("/admin/patients").status, 200);
    }
    served.stop("TERM");
    let views = details(&world, "patients.view");
    assert_eq!(count(&views), 21, "{views:?}");
    assert!(views.len() < 10, "{views:?}");
}

#[test]
fn the_value_of_a_text_setting_is_not_in_the_audit() {
    let world = World::new();
    world.setting("ow.s3.bucket_name", "bucket-of-ms-jones");
    world.setting("ow.concurrency", "3");
    let set = details(&world, "settings.set");
    assert!(
        set.ends_with(&["ow.s3.bucket_name = (set)".to_owned(), "ow.concurrency = 3".to_owned()]),
        "{set:?}"
    );
}
