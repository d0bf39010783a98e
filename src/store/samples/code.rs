//! Codes (scopes), data sources, and the codes that each data source delivers.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::suggest::nearest;
use crate::model::catalog::{code::CODES, source::DATA_SOURCES};
use crate::model::study::Scope;
use crate::store::error::{StoreError, StoreResult};

/// Inserts the codes and data sources of the catalogue that are missing and returns their number. Each data source then
/// delivers what the catalogue says, and nothing that an older version said.
pub fn seed(db: &Connection) -> StoreResult<usize> {
    let mut made = 0;
    for code in CODES {
        let insert = "INSERT INTO codes (system, code, display) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        made += db.prepare_cached(insert)?.execute(params![code.system, code.code, code.display])?;
    }
    for source in DATA_SOURCES {
        let insert = "INSERT INTO data_sources (name, type) VALUES (?, ?) ON CONFLICT DO NOTHING";
        made += db.execute(insert, params![source.name, source.kind])?;
        let delivered = source.codes();
        for code in CODES {
            let change = if delivered.contains(&code.code) {
                "INSERT INTO data_source_codes (data_source_id, code_id)
                 SELECT data_sources.id, codes.id FROM data_sources, codes
                 WHERE data_sources.name = ? AND codes.code = ?
                 ON CONFLICT DO NOTHING"
            } else {
                "DELETE FROM data_source_codes
                 WHERE data_source_id = (SELECT id FROM data_sources WHERE name = ?)
                   AND code_id = (SELECT id FROM codes WHERE code = ?)"
            };
            db.prepare_cached(change)?.execute(params![source.name, code.code])?;
        }
    }
    Ok(made)
}

/// Returns the row id of a code.
pub fn find(db: &Connection, code: &str) -> StoreResult<Option<i64>> {
    let mut query = db.prepare_cached("SELECT id FROM codes WHERE code = ?")?;
    Ok(query.query_row([code], |row| row.get(0)).optional()?)
}

/// Returns the row id of a code. The error tells the operator to run the seed, or suggests a similar code.
pub fn require(db: &Connection, code: &str) -> StoreResult<i64> {
    if let Some(row) = find(db, code)? {
        return Ok(row);
    }
    let mut query = db.prepare_cached("SELECT code FROM codes ORDER BY code")?;
    let stored = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let seeded: Vec<&str> = CODES.iter().map(|known| known.code).collect();
    let hint = if seeded.contains(&code) {
        "Run seed first.".to_owned()
    } else if stored.is_empty() {
        "Run seed first. `jhe-ow catalog` lists the codes that it makes.".to_owned()
    } else {
        let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
        match find_similar(code, &stored).as_slice() {
            [] => "`jhe-ow catalog` lists the codes.".to_owned(),
            like => format!("Did you mean {}?", like.join(" or ")),
        }
    };
    Err(StoreError::Refused(format!("CodeableConcept '{code}' not found. {hint}")))
}

/// Returns the codes with the same name, else those whose name contains it, else those whose name is nearest.
/// Namespace and version are ignored: people forget them.
fn find_similar<'a>(code: &str, known: &[&'a str]) -> Vec<&'a str> {
    fn name(code: &str) -> &str {
        code.split(':').nth(1).unwrap_or(code)
    }
    let meant = name(code).trim().to_lowercase().replace([' ', '_'], "-");
    let of = |is: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        known.iter().copied().filter(|known| is(name(known))).collect()
    };
    let same = of(&|name| name == meant);
    if !same.is_empty() || meant.is_empty() {
        return same;
    }
    let within = of(&|name| name.contains(&meant));
    if !within.is_empty() {
        return within;
    }
    let nearest = nearest(&meant, known.iter().map(|known| name(known)));
    nearest.map(|nearest| of(&|name| name == nearest)).unwrap_or_default()
}

/// Lists the scopes that patients can be asked for: those that a data source delivers.
pub fn list_deliverable(db: &Connection) -> StoreResult<Vec<Scope>> {
    let select = "SELECT code, display FROM codes WHERE id IN (SELECT code_id FROM data_source_codes)
         ORDER BY display";
    let mut query = db.prepare_cached(select)?;
    let scopes = query.query_map([], |row| Ok(Scope { code: row.get(0)?, display: row.get(1)? }))?;
    Ok(scopes.collect::<Result<_, _>>()?)
}

/// The codes that each data source delivers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSourceCodes(BTreeMap<String, BTreeSet<String>>);

impl DataSourceCodes {
    pub fn load(db: &Connection) -> StoreResult<Self> {
        let select = "SELECT name, codes.code FROM data_source_codes
             JOIN data_sources ON data_sources.id = data_source_id
             JOIN codes ON codes.id = data_source_codes.code_id";
        let mut query = db.prepare_cached(select)?;
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (source, code): (String, String) = row?;
            all.entry(source).or_default().insert(code);
        }
        Ok(Self(all))
    }

    /// Returns the data sources that deliver any code, by name.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn delivers(&self, source: &str, code: &str) -> bool {
        self.0.iter().any(|(name, codes)| name.eq_ignore_ascii_case(source) && codes.contains(code))
    }

    pub fn knows(&self, source: &str) -> bool {
        self.0.keys().any(|name| name.eq_ignore_ascii_case(source))
    }

    /// Returns the data sources that deliver a code.
    pub fn of(&self, code: &str) -> Vec<&str> {
        let delivering = self.0.iter().filter(|(_, codes)| codes.contains(code));
        delivering.map(|(name, _)| name.as_str()).collect()
    }
}

pub fn list_data_sources(db: &Connection) -> StoreResult<Vec<String>> {
    let mut query = db.prepare_cached("SELECT name FROM data_sources ORDER BY name")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_ends_what_a_source_no_longer_delivers() {
        let db = crate::store::engine::open::in_memory();
        seed(&db).unwrap();
        let delivered = || -> i64 {
            let select = "SELECT count(*) FROM data_source_codes";
            db.query_row(select, [], |row| row.get(0)).unwrap()
        };
        let before = delivered();
        db.execute("INSERT OR IGNORE INTO data_source_codes SELECT data_sources.id, codes.id FROM data_sources, codes", [])
            .unwrap();
        assert!(delivered() > before);
        seed(&db).unwrap();
        assert_eq!(delivered(), before);
    }

    #[test]
    fn an_unknown_code_gets_a_suggestion() {
        let db = crate::store::engine::open::in_memory();
        let said = |code| require(&db, code).unwrap_err().to_string();
        assert!(
            said("omh:heart-rate:2.0").ends_with("not found. Run seed first."),
            "{}",
            said("omh:heart-rate:2.0")
        );
        assert!(said("heart-rate").contains("Run seed first. `jhe-ow catalog` lists"));
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
            assert!(said(code).ends_with("not found. `jhe-ow catalog` lists the codes."), "{}", said(code));
        }
    }
}
