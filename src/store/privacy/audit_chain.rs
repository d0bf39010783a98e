//! The audit's chain of hashes: what was changed, put in or taken out behind the program's back is found.
//!
//! An entry's hash is SHA-256 over the hash of the entry before and its own content.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::store::error::StoreError;
use crate::store::privacy::audit_entry::{Entry, from_row};

/// The hash of an entry.
pub type Hash = [u8; 32];

/// What the first entry of all goes on from.
const BEGINNING: Hash = [0; 32];

/// What a walk along the chain has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that were read.
    pub entries: u64,
    /// The newest entry and its hash, where there is one: to be noted elsewhere.
    pub head: Option<(i64, Hash)>,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
    /// The entry whose hash is the one that was asked for.
    pub noted: Option<i64>,
}

/// Where the chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The entry does not follow from those before it.
    #[error(
        "entry {0} does not follow from the entries before it: it was changed, or one between it and the last that \
         does was changed, taken out or put in"
    )]
    At(i64),
    /// Entries at the end are gone.
    #[error("the entries after {0} were taken out: the newest was {1}")]
    CutOff(i64, i64),
    /// The note of the newest entry does not fit it.
    #[error("the newest entry, {0}, is not the one that the audit's head names")]
    Head(i64),
}

/// The number and the hash of the newest entry: what the next one goes on from.
pub(crate) fn end(db: &Connection) -> Result<(i64, Hash), StoreError> {
    Ok(head(db)?.unwrap_or((0, BEGINNING)))
}

fn head(db: &Connection) -> Result<Option<(i64, Hash)>, StoreError> {
    let mut query = db.prepare_cached("SELECT last_entry_id, hash FROM audit_chain_head")?;
    Ok(query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Notes the newest entry.
pub(crate) fn set_end(db: &Connection, last: i64, hash: &Hash) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO audit_chain_head (id, last_entry_id, hash) VALUES (1, ?, ?)
         ON CONFLICT DO UPDATE SET last_entry_id = excluded.last_entry_id, hash = excluded.hash",
    )?
    .execute(params![last, hash])?;
    Ok(())
}

/// The hash of `entry`, after one of the hash `before`. Texts go with their length, so that nothing can be moved from
/// one to the next.
pub(crate) fn link(before: &Hash, entry: &Entry) -> Hash {
    let mut digest = Sha256::new();
    digest.update(before);
    digest.update(entry.id.to_be_bytes());
    digest.update(entry.at.micros().to_be_bytes());
    // Numbers of patients begin at 1.
    digest.update(entry.patient.map_or(0, crate::model::patient::PatientId::get).to_be_bytes());
    for text in [&entry.actor, &entry.action, &entry.detail] {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// Walks along the whole chain, and looks for the entry of the hash `noted` on the way.
///
/// # Errors
/// Where the tables cannot be read.
pub fn verify(db: &Connection, noted: Option<Hash>) -> Result<Verdict, StoreError> {
    let head = head(db)?;
    let mut verdict = Verdict { entries: 0, head: None, broken: None, noted: None };
    let mut before = BEGINNING;
    each(db, |entry, hash| {
        if verdict.broken.is_none() && hash != link(&before, &entry) {
            verdict.broken = Some(Broken::At(entry.id));
        }
        verdict.entries += 1;
        before = hash;
        verdict.head = Some((entry.id, before));
        if noted == Some(before) && verdict.broken.is_none() {
            verdict.noted = Some(entry.id);
        }
    })?;
    let newest = verdict.head.map_or(0, |(id, _)| id);
    if let (None, Some((last, hash))) = (verdict.broken, head) {
        if newest < last {
            verdict.broken = Some(Broken::CutOff(newest, last));
        } else if verdict.head != Some((last, hash)) {
            verdict.broken = Some(Broken::Head(newest));
        }
    }
    Ok(verdict)
}

/// Hands over each entry, in order, with the hash that stands in it.
fn each(db: &Connection, mut take: impl FnMut(Entry, Hash)) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, recorded_at, actor, action, patient_id, detail, hash FROM audit_entries ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        take(from_row(row)?, row.get(6)?);
    }
    Ok(())
}

/// A hash in hexadecimal digits.
pub fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] writes.
///
/// # Errors
/// A sentence where it is something else.
pub fn parse_hex(text: &str) -> Result<Hash, String> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(|place| byte(2 * place)).collect();
    let whole = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    whole.ok_or_else(|| "a hash is 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::account::Actor;
    use crate::store::engine::open::in_memory;
    use crate::store::privacy::audit;

    fn record(db: &Connection, detail: &str) {
        audit::record(db, Timestamp::from_micros(7), Actor::CommandLine, "test", None, detail).unwrap();
    }

    #[test]
    fn a_chain_that_was_forged_whole_does_not_have_the_hash_that_was_noted() {
        let db = in_memory();
        record(&db, "a");
        let (_, hash) = verify(&db, None).unwrap().head.unwrap();
        record(&db, "b");
        assert_eq!(verify(&db, Some(hash)).unwrap().noted, Some(1));
        assert_eq!(parse_hex(&hex(&hash)), Ok(hash));
        assert!(parse_hex("é").is_err() && parse_hex(&"a".repeat(63)).is_err());
        let forged = in_memory();
        record(&forged, "c");
        record(&forged, "b");
        let verdict = verify(&forged, Some(hash)).unwrap();
        assert_eq!((verdict.broken, verdict.noted), (None, None));
    }
}
