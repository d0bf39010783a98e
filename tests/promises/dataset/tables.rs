//! Makes studies and reads the tables of a data set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::doctor::sql;
use crate::support::harness::*;

/// A row: values by column.
pub(crate) type Row = BTreeMap<String, String>;
/// The tables of a data set, by name.
pub(crate) type Tables = BTreeMap<String, Vec<Row>>;

/// Creates a study that asks for these codes, with these patients as P001, P002, ….
pub(crate) fn study_of(world: &World, patients: &[&str], codes: &[&str]) {
    sql(
        world,
        "INSERT INTO studies (id, name, organization, purpose, contact, created_at)
         VALUES (1, 'Sleep & Heart', 'Lab', 'Why', 'Ada', 0)",
    );
    for code in codes {
        sql(world, &format!("INSERT INTO study_codes SELECT 1, id FROM codes WHERE code = '{code}'"));
    }
    for (number, patient) in patients.iter().enumerate() {
        enrol(world, patient, &format!("P{:03}", number + 1));
    }
}

pub(crate) fn enrol(world: &World, patient: &str, participant: &str) {
    sql(
        world,
        &format!(
            "INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant)
             VALUES (1, {patient}, 0, '{participant}')"
        ),
    );
}

/// Writes a data set. Returns its directory and its last commit.
pub(crate) fn write(world: &World, name: &str, options: &[&str]) -> (PathBuf, String) {
    let directory = world.directory.path().join(name);
    let path = directory.display().to_string();
    let arguments = ["dataset", "--study", "1", "--out", &path];
    let ran = world.run(&arguments.into_iter().chain(options.iter().copied()).collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{ran:?}");
    let commit = ran.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    (directory, commit)
}

/// Reads all CSV tables of a data set.
pub(crate) fn read(directory: &Path) -> Tables {
    let files = names(directory).into_iter().filter_map(|name| Some(name.strip_suffix(".csv")?.to_owned()));
    files.map(|name| (name.clone(), read_table(&directory.join(format!("{name}.csv"))))).collect()
}

fn read_table(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        header.iter().zip(record.iter()).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// Applies an increment to a data set as its README describes.
pub(crate) fn add_increment(tables: &mut Tables, increment: Tables) {
    for removed in &increment["removed"] {
        for (name, rows) in tables.iter_mut() {
            rows.retain(|row| {
                let is_of_person = row.get("participant") == Some(&removed["participant"]);
                let is_of_row = removed["identifier"].is_empty()
                    || (*name == removed["table"] && row.get("identifier") == Some(&removed["identifier"]))
                    || (name == "sleep_stages" && row.get("sleep") == Some(&removed["identifier"]));
                !(is_of_person && is_of_row)
            });
        }
    }
    for (name, rows) in increment {
        let known = tables.entry(name.clone()).or_default();
        let key = match name.as_str() {
            "participants" | "consents" | "devices" | "days" | "sync_events" | "removed" => {
                *known = rows;
                continue;
            }
            "sleep_stages" => "sleep",
            _ => "identifier",
        };
        known.retain(|row| rows.iter().all(|new| new[key] != row[key]));
        known.extend(rows);
    }
}

/// Sorts the rows of each table and removes the tables about the increment itself.
pub(crate) fn normalized(mut tables: Tables) -> Tables {
    tables.remove("removed");
    for rows in tables.values_mut() {
        rows.sort();
    }
    tables
}
