//! Codes and data sources.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::catalog::{CODES, DATA_SOURCES, DataSource};
use crate::study::Scope;

/// Makes the codes and data sources of the catalogue that are not there yet; answers how many it made.
///
/// # Errors
/// Where they cannot be written.
pub fn seed(db: &Connection) -> Result<usize, StoreError> {
    let mut made = 0;
    for code in &CODES {
        made += db
            .prepare_cached(
                "INSERT INTO code (system, code, display) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![code.system, code.code, code.display])?;
    }
    for source in &DATA_SOURCES {
        made += seed_source(db, source)?;
    }
    Ok(made)
}

fn seed_source(db: &Connection, source: &DataSource) -> Result<usize, StoreError> {
    let made = db.execute(
        "INSERT INTO data_source (name, kind) VALUES (?, ?) ON CONFLICT DO NOTHING",
        params![source.name, source.kind],
    )?;
    for code in source.codes {
        db.execute(
            "INSERT INTO data_source_code (data_source, code)
             SELECT data_source.id, code.id FROM data_source, code WHERE data_source.name = ? AND code.code = ?
             ON CONFLICT DO NOTHING",
            params![source.name, code],
        )?;
    }
    Ok(made)
}

/// The row of a code, where there is one.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, code: &str) -> Result<Option<i64>, StoreError> {
    let mut query = db.prepare_cached("SELECT id FROM code WHERE code = ?")?;
    Ok(query.query_row([code], |row| row.get(0)).optional()?)
}

/// The row of a code that has to be there.
///
/// # Errors
/// The sentence that sends the operator to `jhe-ow seed`, where it is not.
pub fn require(db: &Connection, code: &str) -> Result<i64, StoreError> {
    find(db, code)?.ok_or_else(|| {
        let known: Vec<&str> = CODES.iter().map(|known| known.code).collect();
        // One that no seed makes is a slip of the pen.
        let made =
            if known.contains(&code) { String::new() } else { format!(" It makes {}.", known.join(", ")) };
        StoreError::Refused(format!("CodeableConcept '{code}' not found. Run seed first.{made}"))
    })
}

/// What patients can be asked for: every code that one of the data sources delivers.
///
/// # Errors
/// Where the tables cannot be read.
pub fn deliverable(db: &Connection) -> Result<Vec<Scope>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT code, display FROM code WHERE id IN (SELECT code FROM data_source_code) ORDER BY display",
    )?;
    let scopes = query.query_map([], |row| Ok(Scope { code: row.get(0)?, display: row.get(1)? }))?;
    Ok(scopes.collect::<Result<_, _>>()?)
}

/// What each data source delivers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deliveries(BTreeMap<String, BTreeSet<String>>);

impl Deliveries {
    /// Reads all of it.
    ///
    /// # Errors
    /// Where the tables cannot be read.
    pub fn load(db: &Connection) -> Result<Self, StoreError> {
        let mut query = db.prepare_cached(
            "SELECT name, code.code FROM data_source_code
             JOIN data_source ON data_source.id = data_source JOIN code ON code.id = data_source_code.code",
        )?;
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (source, code): (String, String) = row?;
            all.entry(source).or_default().insert(code);
        }
        Ok(Self(all))
    }

    /// The data sources that deliver anything, by name.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether this data source, or provider of OW's, delivers a code.
    pub fn delivers(&self, source: &str, code: &str) -> bool {
        self.0.iter().any(|(name, codes)| name.eq_ignore_ascii_case(source) && codes.contains(code))
    }

    /// Whether it is known what this data source, or provider of OW's, delivers.
    pub fn knows(&self, source: &str) -> bool {
        self.0.keys().any(|name| name.eq_ignore_ascii_case(source))
    }

    /// The data sources that deliver a code.
    pub fn of(&self, code: &str) -> Vec<&str> {
        let delivering = self.0.iter().filter(|(_, codes)| codes.contains(code));
        delivering.map(|(name, _)| name.as_str()).collect()
    }
}

/// The names of the data sources.
///
/// # Errors
/// Where the table cannot be read.
pub fn data_sources(db: &Connection) -> Result<Vec<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT name FROM data_source ORDER BY name")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
