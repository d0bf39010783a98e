//! A patient whose data can be recognised anywhere in the store, and helpers to erase it.

use std::collections::BTreeSet;

use jhe_ow::simulator::samples_table::Row;
use rusqlite::Connection;

use crate::support::harness::*;

pub const NAME: &str = "Canary Wren";
pub const EMAIL: &str = "canary.wren@example.org";
pub const DEVICE: &str = "canary-ring";
pub const SAMPLE: &str = "canary-sample";
/// Values that occur nowhere else.
pub const MEASURED: [f64; 2] = [61.735_19, 62.846_27];

/// Creates a patient with data of every kind and a second patient; returns the OW user and number of the first, and the
/// number of the second.
pub fn canaries(world: &World) -> (String, String, String) {
    let user = world.sim.add_user();
    let add = [linked_patient(NAME, &user).as_slice(), &["--email", EMAIL]].concat();
    let patient = world.run(&add).stdout.trim().to_owned();
    let (other, neighbour) = world.patient();
    world.sim.connect(&user, "oura");
    world.sim.connect(&other, "oura");
    world.sim.fill(&other, world.now.minus(HOUR * 3), world.now, FIVE_MINUTES, 2);
    world.sim.fill(&user, world.now.minus(HOUR * 3), world.now, FIVE_MINUTES, 1);
    let at = world.now.minus(HOUR);
    let measure = |value| {
        world.sim.put_row(&user, Row::heart_rate(at, value).with_device(DEVICE));
        assert_eq!(world.poll().code, 0);
    };
    let unread = format!(r#"{{"timestamp":"{SAMPLE}","value":60.0}}"#);
    world.sim.put_verbatim(&user, world.now.minus(HOUR * 2), &unread);
    MEASURED.into_iter().for_each(measure);
    (user, patient, neighbour)
}

pub fn external_id(world: &World, patient: &str) -> String {
    let db = Connection::open(world.database()).unwrap();
    db.query_row("SELECT external_id FROM patients WHERE id = ?", [patient], |row| row.get(0)).unwrap()
}

/// Returns the indices of the canaries found in the database or its write-ahead log.
pub fn canaries_in_store(world: &World, canaries: &[Vec<u8>]) -> BTreeSet<usize> {
    let read = |name: &str| std::fs::read(world.data_dir().join(name)).unwrap_or_default();
    let (file, log) = (read("jhe-ow.sqlite3"), read("jhe-ow.sqlite3-wal"));
    let is_in = |canary: &Vec<u8>| {
        [&file, &log].iter().any(|text| text.windows(canary.len()).any(|one| one == canary))
    };
    (0..canaries.len()).filter(|place| is_in(&canaries[*place])).collect()
}

pub fn erase(world: &World, patient: &str) -> Ran {
    world.run(&["patient", "erase", patient, "--yes"])
}

pub fn erased(world: &World, patient: &str) -> String {
    let ran = erase(world, patient);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains(&format!("patient {patient} is erased")), "{ran:?}");
    ran.stdout
}

/// Counts the rows of each table whose column `patient` holds this number.
pub fn rows_of(world: &World, patient: &str) -> Vec<(String, i64)> {
    let db = Connection::open(world.database()).unwrap();
    let mut query = db
        .prepare(
            "SELECT s.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
             WHERE s.type = 'table' AND c.name = 'patient_id' ORDER BY 1",
        )
        .unwrap();
    let tables: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |table: &String| {
        let count = format!("SELECT count(*) FROM {table} WHERE patient_id = ?");
        db.query_row(&count, [patient], |row| row.get(0)).unwrap()
    };
    let mut counts: Vec<(String, i64)> = tables.iter().map(|table| (table.clone(), count(table))).collect();
    counts.retain(|(_, count)| *count > 0);
    counts
}

pub fn one<T: rusqlite::types::FromSql>(world: &World, query: &str) -> T {
    Connection::open(world.database()).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

pub fn orphans(world: &World) -> usize {
    let db = Connection::open(world.database()).unwrap();
    let mut query = db.prepare("PRAGMA foreign_key_check").unwrap();
    query.query_map([], |_| Ok(())).unwrap().count()
}
