//! Codes and data sources.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::suggest::nearest;
use crate::model::catalog::code::CODES;
use crate::model::catalog::source::{DATA_SOURCES, DataSource};
use crate::model::study::Scope;
use crate::store::error::StoreError;

/// Makes the codes and data sources of the catalogue that are not there yet; answers how many it made.
///
/// # Errors
/// Where they cannot be written.
pub fn seed(db: &Connection) -> Result<usize, StoreError> {
    let mut made = 0;
    for code in CODES {
        made += db
            .prepare_cached(
                "INSERT INTO codes (system, code, display) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![code.system, code.code, code.display])?;
    }
    for source in DATA_SOURCES {
        made += seed_source(db, source)?;
    }
    Ok(made)
}

fn seed_source(db: &Connection, source: &DataSource) -> Result<usize, StoreError> {
    let made = db.execute(
        "INSERT INTO data_sources (name, type) VALUES (?, ?) ON CONFLICT DO NOTHING",
        params![source.name, source.kind],
    )?;
    for code in source.codes {
        db.execute(
            "INSERT INTO data_source_codes (data_source_id, code_id)
             SELECT data_sources.id, codes.id FROM data_sources, codes WHERE data_sources.name = ? AND codes.code = ?
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
    let mut query = db.prepare_cached("SELECT id FROM codes WHERE code = ?")?;
    Ok(query.query_row([code], |row| row.get(0)).optional()?)
}

/// The row of a code that has to be there.
///
/// # Errors
/// Where it is not: the sentence that sends the operator to `jhe-ow seed`; or, where a seed would not make it, the code
/// that may be meant.
pub fn require(db: &Connection, code: &str) -> Result<i64, StoreError> {
    if let Some(row) = find(db, code)? {
        return Ok(row);
    }
    let mut query = db.prepare_cached("SELECT code FROM codes ORDER BY code")?;
    let there = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let made: Vec<&str> = CODES.iter().map(|known| known.code).collect();
    let said = if made.contains(&code) {
        "Run seed first.".to_owned()
    } else if there.is_empty() {
        format!("Run seed first. It makes {}.", made.join(", "))
    } else {
        // It is a slip of the pen.
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        match resembling(code, &there).as_slice() {
            [] => format!("There are {}.", there.join(", ")),
            like => format!("Did you mean {}?", like.join(" or ")),
        }
    };
    Err(StoreError::Refused(format!("CodeableConcept '{code}' not found. {said}")))
}

/// The codes that may be meant by something that is none: of the same name, with the name in theirs, or one whose name
/// is written nearly so. Namespaces and versions are easily forgotten.
fn resembling<'a>(code: &str, known: &[&'a str]) -> Vec<&'a str> {
    fn name(code: &str) -> &str {
        code.split(':').nth(1).unwrap_or(code)
    }
    let meant = name(code).trim().to_lowercase().replace([' ', '_'], "-");
    let of = |is: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        known.iter().copied().filter(|known| is(name(known))).collect()
    };
    let same = of(&|name| name == meant);
    let near = || nearest(&meant, known.iter().map(|known| name(known)));
    match (same.is_empty(), meant.is_empty()) {
        (false, _) => same,
        (true, true) => Vec::new(),
        (true, false) => match of(&|name| name.contains(&meant)) {
            within if !within.is_empty() => within,
            _ => near().map(|near| of(&|name| name == near)).unwrap_or_default(),
        },
    }
}

/// What patients can be asked for: every code that one of the data sources delivers.
///
/// # Errors
/// Where the tables cannot be read.
pub fn deliverable(db: &Connection) -> Result<Vec<Scope>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT code, display FROM codes WHERE id IN (SELECT code_id FROM data_source_codes) ORDER BY display",
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
            "SELECT name, codes.code FROM data_source_codes
             JOIN data_sources ON data_sources.id = data_source_id JOIN codes ON codes.id = data_source_codes.code_id",
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
    let mut query = db.prepare_cached("SELECT name FROM data_sources ORDER BY name")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told_what_may_be_meant() {
        let db = crate::store::engine::open::in_memory();
        let said = |code| require(&db, code).unwrap_err().to_string();
        assert!(
            said("omh:heart-rate:2.0").ends_with("not found. Run seed first."),
            "{}",
            said("omh:heart-rate:2.0")
        );
        assert!(said("heart-rate").contains("Run seed first. It makes "));
        seed(&db).unwrap();
        for (code, meant) in [
            ("heart-rate", "omh:heart-rate:2.0"),
            ("omh:heart-rate:1.0", "omh:heart-rate:2.0"),
            ("Heart Rate", "omh:heart-rate:2.0"),
            ("hart-rate", "omh:heart-rate:2.0"),
            ("omh:oxygen:2.0", "omh:oxygen-saturation:2.0"),
        ] {
            assert_eq!(said(code), format!("CodeableConcept '{code}' not found. Did you mean {meant}?"));
        }
        for code in ["zzz", "", "omh::"] {
            assert!(
                said(code).contains("not found. There are QuestionnaireResponse, ieee:"),
                "{}",
                said(code)
            );
        }
    }
}
