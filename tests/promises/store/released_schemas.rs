//! A store of each released schema opens, is upgraded, and shows the same observations, byte for byte.
//!
//! `tests/fixtures` holds, for each schema, a store (`v<n>.sqlite3`) and what `jhe-ow observations` prints of it
//! (`v<n>.ndjson`). Both are written once, when the schema is released, by
//! `cargo test --locked --test promises -- --ignored write_the_fixture_of_the_newest_schema`.

use std::path::{Path, PathBuf};

use jhe_ow::simulator::activity_day::ActivityDay;
use jhe_ow::simulator::event::Event;
use jhe_ow::simulator::samples_table::Row;

use crate::support::connected_world::Scene;
use crate::support::harness::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Returns the number of the newest schema.
fn newest(world: &World) -> usize {
    world.run(&["migrate", "status"]).stdout.lines().count()
}

fn observations(world: &World) -> String {
    let ran = world.run(&["observations"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    as_delivered(&ran.stdout)
}

#[test]
fn a_store_of_each_released_schema_is_upgraded_and_shows_the_same_observations() {
    let newest = newest(&World::bare());
    // Schemas of one release share the fixture of the last one.
    let has_fixture = |version: &usize| fixtures().join(format!("v{version}.sqlite3")).exists();
    let versions: Vec<usize> = (1..=newest).filter(has_fixture).collect();
    assert!(
        versions.len() >= 7 && versions.contains(&newest),
        "{versions:?}: create the fixture of the newest schema"
    );
    for version in versions {
        let world = World::bare();
        std::fs::create_dir(world.data_dir()).unwrap();
        std::fs::copy(fixtures().join(format!("v{version}.sqlite3")), world.database()).unwrap();
        let expected = std::fs::read_to_string(fixtures().join(format!("v{version}.ndjson"))).unwrap();
        assert!(
            observations(&world) == as_delivered(&expected),
            "the observations differ from those of schema {version}"
        );
        let status = world.run(&["migrate", "status"]).stdout;
        assert_eq!(status.matches("  applied ").count(), newest, "{status}");
        let kept = world.data_dir().join("backups");
        assert_eq!(kept.exists(), version < newest, "a migration makes a backup first");
        assert_eq!(world.run(&["audit", "verify"]).code, 0);
        assert_eq!(
            world.run(&["patient", "add", "--name", "B"]).code,
            0,
            "the upgraded store accepts writes"
        );
    }
}

#[test]
#[ignore = "writes tests/fixtures, once for each schema"]
fn write_the_fixture_of_the_newest_schema() {
    let scene = Scene::new();
    let version = newest(&scene.world);
    // A JHE patient with delivered, corrected and pending observations.
    let (user, patient) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    scene.world.sim.fill(&user, at.minus(DAY), at, HOUR, 1);
    scene.world.created();
    scene.export();
    scene.world.sim.put(&user, at.minus(HOUR), 61.5);
    scene.world.created();
    // A local patient with a night, a daily step total, a rejected sample, and a withdrawn consent.
    let world = &scene.world;
    let codes = [HEART_RATE, "omh:sleep-episode:1.1", "ieee:sleep-stage-summary:1.0", "omh:step-count:3.0"];
    let (user, other) = world.patient_of(&codes, "Europe/Berlin");
    let bed = world.now.minus(HOUR * 14);
    world.sim.put_event(&user, Event::night(bed, bed.plus(HOUR * 8), Vec::new()));
    world.sim.fill(&user, at.minus(HOUR * 6), at, HOUR, 2);
    world.sim.put_activity(&user, ActivityDay::of("2026-11-20", 4000));
    world.sim.put_row(&user, Row::heart_rate(at.minus(HOUR * 7), 1.2).with_unit("Hz"));
    world.created();
    assert_eq!(world.run(&["patient", "consent", &other, "omh:step-count:3.0", "--withdraw"]).code, 0);
    assert_eq!(world.run(&["admin", "add", "ada"]).code, 0);
    // An erased patient.
    let (user, gone) = world.patient();
    world.sim.fill(&user, at.minus(HOUR * 6), at, HOUR, 3);
    world.created();
    assert_eq!(world.run(&["patient", "erase", &gone, "--yes"]).code, 0);
    assert!(!world.documents(&patient).is_empty() && !world.documents(&other).is_empty());
    let target = fixtures().join(format!("v{version}.sqlite3"));
    let ran = world.run(&["backup", target.to_str().unwrap(), "--force"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // Most tables fill one page only: smaller pages make a smaller file.
    let db = rusqlite::Connection::open(&target).unwrap();
    db.execute_batch("PRAGMA page_size = 1024; VACUUM").unwrap();
    drop(db);
    std::fs::write(fixtures().join(format!("v{version}.ndjson")), observations(world)).unwrap();
}
