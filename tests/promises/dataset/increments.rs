//! Increments bring an earlier data set up to date.

use jhe_ow::simulator::event::Event;

use super::tables::{Tables, add_increment, enrol, normalized, read, study_of, write};
use crate::support::bucket::{Bucket, raw_world};
use crate::support::doctor::sql;
use crate::support::erasure::one;
use crate::support::harness::*;

const CODES: [&str; 3] = [HEART_RATE, "omh:sleep-episode:1.1", "omh:body-weight:3.0"];

/// A data set updated by increments.
struct Reader {
    tables: Tables,
    commit: String,
    steps: u32,
}

impl Reader {
    fn new(world: &World) -> Self {
        let (directory, commit) = write(world, "first", &[]);
        Self { tables: read(&directory), commit, steps: 0 }
    }

    /// Applies an increment and compares the result with a complete data set of the same time.
    fn follow(&mut self, world: &World, what: &str) -> Tables {
        self.steps += 1;
        let (directory, commit) =
            write(world, &format!("increment{}", self.steps), &["--since", &self.commit]);
        let increment = read(&directory);
        add_increment(&mut self.tables, increment.clone());
        let complete = read(&write(world, &format!("complete{}", self.steps), &[]).0);
        assert_eq!(normalized(self.tables.clone()), normalized(complete), "after {what}");
        self.commit = commit;
        increment
    }
}

#[test]
fn the_full_set_and_its_increments_are_the_later_full_set() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&CODES, "Europe/Berlin");
    let (_, second) = world.patient_of(&CODES, "UTC");
    study_of(&world, &[&patient], &CODES);
    world.pass(DAY);
    world.sim.fill(&user, world.now.minus(HOUR * 5), world.now, FIVE_MINUTES, 1);
    world.created();
    let mut reader = Reader::new(&world);

    world.pass(HOUR);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 77.0);
    world.created();
    let increment = reader.follow(&world, "a new sample");
    assert_eq!(increment["heart_rate"].len(), 1);

    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 78.0);
    world.created();
    let increment = reader.follow(&world, "a correction");
    let row = &increment["heart_rate"][0];
    assert_eq!((row["heart_rate_bpm"].as_str(), row["revision"].as_str()), ("78", "1"));

    let increment = reader.follow(&world, "nothing");
    assert!(increment["heart_rate"].is_empty() && increment["removed"].is_empty());

    enrol(&world, &second, "P002");
    reader.follow(&world, "an enrolment");
    world.run(&["patient", "set", &patient, "--tz", "America/New_York"]);
    let increment = reader.follow(&world, "another time zone");
    assert_eq!(increment["removed"][0]["participant"], "P001");

    world.run(&["study", "edit", "1", "--until", "2026-11-21"]);
    let increment = reader.follow(&world, "a window");
    assert_eq!((increment["removed"].len(), reader.tables["heart_rate"].len()), (2, 0));
    world.run(&["study", "edit", "1", "--no-window"]);
    reader.follow(&world, "a window less");
    assert!(!reader.tables["heart_rate"].is_empty());

    world.setting("data.after_withdrawal", "hide");
    reader.follow(&world, "a setting");
    world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    let increment = reader.follow(&world, "a withdrawal that hides");
    assert!(increment["heart_rate"].is_empty());
    world.consent(&patient, "--grant");
    reader.follow(&world, "a new grant");

    let night = world.sim.put_event(&user, Event::nap(world.now.minus(HOUR * 4), world.now.minus(HOUR * 3)));
    world.created();
    reader.follow(&world, "a nap");
    let moved = Event::nap(world.now.minus(HOUR * 4), world.now.minus(HOUR * 2));
    world.sim.update_event(&user, night, moved);
    world.poll();
    reader.follow(&world, "a longer nap");

    let erased = world.run(&["patient", "erase", &patient, "--yes", "--without-ow"]);
    assert_eq!(erased.code, 0, "{erased:?}");
    let increment = reader.follow(&world, "an erasure");
    assert!(
        increment["removed"].iter().any(|row| row["participant"] == "P001" && row["identifier"].is_empty())
    );
}

#[test]
fn a_night_that_its_wearer_deleted_is_removed() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient_of(&CODES, "UTC");
    study_of(&world, &[&patient], &CODES);
    let night = |kind: &str| {
        format!(
            r#"{{"id":"n1","type":"{kind}","bedtime_start":"2026-11-20T22:00:00+01:00",
                "bedtime_end":"2026-11-21T06:00:00+01:00","total_sleep_duration":27000}}"#
        )
    };
    let put = |name: &str, record: &str| {
        let (key, body) = (Bucket::key("2026-11-21", &user, name), format!(r#"{{"data":[{record}]}}"#));
        bucket.put(&key, "/v2/usercollection/sleep", body.as_bytes());
    };
    put("000000000001", &night("long_sleep"));
    world.run(&["poll", "--window", "3d"]);
    let mut reader = Reader::new(&world);
    assert_eq!(reader.tables["sleep"].len(), 1);
    world.pass(HOUR);
    put("000000000002", &night("deleted"));
    world.run(&["poll", "--window", "3d"]);
    let increment = reader.follow(&world, "a deletion");
    assert_eq!(increment["removed"][0]["table"], "sleep");
    assert!(reader.tables["sleep"].is_empty());
}

#[test]
fn after_a_restore_an_increment_of_a_lost_commit_is_refused_and_no_study_number_is_given_again() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&CODES, "UTC");
    study_of(&world, &[&patient], &CODES);
    sql(&world, "UPDATE studies SET next_participant = 2");
    world.pass(HOUR);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.created();
    let (_, known) = write(&world, "before", &[]);
    let backup = world.directory.path().join("b.sqlite3").display().to_string();
    assert_eq!(world.run(&["backup", &backup]).code, 0);
    world.pass(HOUR);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 61.0);
    world.created();
    sql(&world, "UPDATE studies SET next_participant = 7");
    let (_, lost) = write(&world, "lost", &[]);
    assert_eq!(world.run(&["restore", &backup, "--force"]).code, 0);
    let out = world.directory.path().join("new").display().to_string();
    let of = |since: &str| world.run(&["dataset", "--study", "1", "--out", &out, "--since", since]);
    let refused = of(&lost);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("take the complete data set"), "{refused:?}");
    assert_eq!(of(&known).code, 0);
    assert_eq!(one::<i64>(&world, "SELECT next_participant FROM studies"), 7);
}

#[test]
fn a_withdrawal_of_heart_rate_variability_from_before_the_split_of_its_code_survives_a_restore() {
    let world = World::bare();
    std::fs::create_dir(world.data_dir()).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v3.sqlite3");
    let file = world.directory.path().join("v3.sqlite3");
    std::fs::copy(fixture, &file).unwrap();
    let change = |path: &std::path::Path, statement: &str| {
        rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
    };
    change(
        &file,
        "INSERT INTO codes (system, code, display) SELECT 'local', 'local:heart-rate-variability:1.0', 'HRV'
         WHERE NOT EXISTS (SELECT 1 FROM codes WHERE code = 'local:heart-rate-variability:1.0');
         INSERT INTO consents (patient_id, code_id, granted_at)
         SELECT min(patients.id), codes.id, 5 FROM patients, codes WHERE code = 'local:heart-rate-variability:1.0'",
    );
    std::fs::copy(&file, world.database()).unwrap();
    change(
        &world.database(),
        "UPDATE consents SET withdrawn_at = max(granted_at, 6) WHERE withdrawn_at IS NULL",
    );
    let ran = world.run(&["restore", &file.display().to_string(), "--force"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let active = "SELECT count(*) FROM consents JOIN codes ON codes.id = code_id
         WHERE code LIKE 'local:heart_rate_variability%' AND withdrawn_at IS NULL";
    assert_eq!(one::<i64>(&world, active), 0);
}
