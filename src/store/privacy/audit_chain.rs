//! The hash chain of the audit, which reveals entries that were changed, inserted or deleted by other
//! programs.
//!
//! An entry's hash is SHA-256 over the previous entry's hash and its own content.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::model::patient::PatientId;
use crate::store::error::StoreResult;
use crate::store::privacy::audit_entry::{AuditEntry, from_row};

/// The hash of an entry.
pub type EntryHash = [u8; 32];

/// The hash that the first entry follows.
const GENESIS: EntryHash = [0; 32];

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainVerification {
    pub entries: u64,
    /// The newest entry and its hash. A copy of it kept elsewhere reveals an audit that was rewritten as a
    /// whole.
    pub head: Option<(i64, EntryHash)>,
    /// The first break.
    pub broken: Option<ChainBreak>,
    /// The entry with the expected hash, if it comes before any break.
    pub expected_entry: Option<i64>,
}

/// A break of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    #[error(
        "entry {0} does not follow from the entries before it: it was changed, or one between it and the \
         last that does was changed, taken out or put in"
    )]
    Mismatch(i64),
    /// The last entries are missing: the newest that is left, and the newest that was recorded.
    #[error("the entries after {0} were taken out: the newest was {1}")]
    Truncated(i64, i64),
    /// The recorded head differs from the newest entry.
    #[error("the newest entry, {0}, is not the one that the audit's head names")]
    WrongHead(i64),
}

/// Returns id and hash of the newest entry, which the next one follows.
pub(crate) fn find_last(db: &Connection) -> StoreResult<(i64, EntryHash)> {
    Ok(find_head(db)?.unwrap_or((0, GENESIS)))
}

fn find_head(db: &Connection) -> StoreResult<Option<(i64, EntryHash)>> {
    let mut query = db.prepare_cached("SELECT last_entry_id, hash FROM audit_chain_head")?;
    Ok(query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub(crate) fn save_head(db: &Connection, last: i64, hash: &EntryHash) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO audit_chain_head (id, last_entry_id, hash) VALUES (1, ?, ?)
         ON CONFLICT DO UPDATE SET last_entry_id = excluded.last_entry_id, hash = excluded.hash",
    )?
    .execute(params![last, hash])?;
    Ok(())
}

/// Returns the hash of an entry that follows one with the hash `previous`.
pub(crate) fn hash_entry(previous: &EntryHash, entry: &AuditEntry) -> EntryHash {
    let mut digest = Sha256::new();
    digest.update(previous);
    digest.update(entry.id.to_be_bytes());
    digest.update(entry.at.micros().to_be_bytes());
    // 0 is no patient: ids begin at 1.
    digest.update(entry.patient.map_or(0, PatientId::get).to_be_bytes());
    // Lengths keep text from moving between fields without a change of the hash.
    for text in [&entry.actor, &entry.action, &entry.detail] {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// Verifies the whole chain, and looks for the entry with the hash `expected`.
pub fn verify(db: &Connection, expected: Option<EntryHash>) -> StoreResult<ChainVerification> {
    let head = find_head(db)?;
    let mut found = ChainVerification { entries: 0, head: None, broken: None, expected_entry: None };
    let mut query = db.prepare_cached(
        "SELECT id, recorded_at, actor, action, patient_id, detail, hash FROM audit_entries ORDER BY id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (entry, hash): (AuditEntry, EntryHash) = (from_row(row)?, row.get(6)?);
        let previous = found.head.map_or(GENESIS, |(_, hash)| hash);
        if found.broken.is_none() && hash != hash_entry(&previous, &entry) {
            found.broken = Some(ChainBreak::Mismatch(entry.id));
        }
        found.entries += 1;
        found.head = Some((entry.id, hash));
        if expected == Some(hash) && found.broken.is_none() {
            found.expected_entry = Some(entry.id);
        }
    }
    let newest = found.head.map_or(0, |(id, _)| id);
    if let (None, Some((last, hash))) = (found.broken, head) {
        if newest < last {
            found.broken = Some(ChainBreak::Truncated(newest, last));
        } else if found.head != Some((last, hash)) {
            found.broken = Some(ChainBreak::WrongHead(newest));
        }
    }
    Ok(found)
}

/// Formats a hash as hexadecimal digits.
pub fn hex(hash: &EntryHash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Parses the output of [`hex`].
pub fn parse_hex(text: &str) -> Result<EntryHash, String> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(|index| byte(2 * index)).collect();
    let hash = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| "a hash is 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::account::Actor;
    use crate::store::engine::open::in_memory;
    use crate::store::privacy::audit;

    fn record(db: &Connection, detail: &'static str) {
        audit::record(db, Timestamp::from_micros(7), Actor::CommandLine, "test", None, detail).unwrap();
    }

    #[test]
    fn a_chain_that_was_rewritten_as_a_whole_lacks_the_expected_hash() {
        let db = in_memory();
        record(&db, "a");
        let (_, hash) = verify(&db, None).unwrap().head.unwrap();
        record(&db, "b");
        assert_eq!(verify(&db, Some(hash)).unwrap().expected_entry, Some(1));
        assert_eq!(parse_hex(&hex(&hash)), Ok(hash));
        assert!(parse_hex("é").is_err() && parse_hex(&"a".repeat(63)).is_err());
        let forged = in_memory();
        record(&forged, "c");
        record(&forged, "b");
        let found = verify(&forged, Some(hash)).unwrap();
        assert_eq!((found.broken, found.expected_entry), (None, None));
    }
}
