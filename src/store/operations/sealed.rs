//! Every column with sealed values: which key opens them, and their rotation to a new key.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params};
use secrecy::ExposeSecret;

use crate::common::counted::counted;
use crate::common::failure::Failure;
use crate::config::settings;
use crate::secrets::sealing::{self, Opened, SealingKey};
use crate::store::error::{StoreError, StoreResult};

/// The remedy for values that the previous key has sealed.
pub(crate) const ROTATE: &str =
    "run jhe-ow secrets rotate, then take JHE_OW_SECRET_KEY_PREVIOUS out of the configuration";

/// A column with sealed values.
#[derive(Debug)]
pub(crate) struct SealedColumn {
    /// One value, for people.
    noun: &'static str,
    pub(crate) table: &'static str,
    id: &'static str,
    column: &'static str,
    /// Returns what binds a value to its row; none for a row without a sealed value.
    context: fn(&str) -> Option<String>,
    /// The remedy if the key is lost.
    if_lost: &'static str,
}

/// Every sealed column, one line each.
#[rustfmt::skip]
pub(crate) const SEALED_COLUMNS: &[SealedColumn] = &[
    SealedColumn { noun: "secret setting", table: "settings", id: "key", column: "value", context: |key| is_secret(key).then(|| sealing::setting_context(key)), if_lost: "set the secret settings again" },
    SealedColumn { noun: "second factor", table: "accounts", id: "id", column: "totp_secret", context: |id| Some(sealing::second_factor_context(id)), if_lost: "run jhe-ow admin reset-second-factor NAME for the accounts" },
    SealedColumn { noun: "JHE token", table: "jhe_tokens", id: "patient_id", column: "sealed_token", context: |id| Some(sealing::jhe_token_context(id)), if_lost: "have the patients open an invitation again" },
];

fn is_secret(key: &str) -> bool {
    settings::find(key).is_ok_and(settings::Setting::is_secret)
}

/// The values of one column, by the key that opens them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SealCounts {
    pub(crate) current: u64,
    pub(crate) previous: u64,
    pub(crate) unreadable: u64,
}

/// All sealed values.
#[derive(Debug, Default)]
pub(crate) struct SealedValues(Vec<(&'static SealedColumn, SealCounts)>);

impl SealedValues {
    pub(crate) fn add(&mut self, column: &'static SealedColumn, counts: SealCounts) {
        self.0.push((column, counts));
    }

    pub(crate) fn count(&self, of: impl Fn(&SealCounts) -> u64) -> u64 {
        self.0.iter().map(|(_, counts)| of(counts)).sum()
    }

    /// Lists the values that `of` counts: "2 secret settings, 1 second factor".
    pub(crate) fn list(&self, of: impl Fn(&SealCounts) -> u64) -> String {
        let counts = self.0.iter().map(|(column, counts)| (of(counts), column.noun));
        let listed = counts.filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun));
        listed.collect::<Vec<_>>().join(", ")
    }

    /// Says that the configured keys do not open some values; none if they open all.
    pub(crate) fn failure(&self, key: Option<&SealingKey>) -> Option<Failure> {
        let lost = self.list(|counts| counts.unreadable);
        if lost.is_empty() {
            return None;
        }
        let (problem, remedy) = match key {
            None => (
                "no JHE_OW_SECRET_KEY is configured that opens",
                "configure the key with which they were sealed",
            ),
            Some(key) if key.has_previous() => (
                "neither JHE_OW_SECRET_KEY nor JHE_OW_SECRET_KEY_PREVIOUS opens",
                "configure the key with which they were sealed as JHE_OW_SECRET_KEY_PREVIOUS, and run jhe-ow secrets \
                 rotate",
            ),
            Some(_) => (
                "JHE_OW_SECRET_KEY is not the key that opens",
                "configure the former key as JHE_OW_SECRET_KEY_PREVIOUS, and run jhe-ow secrets rotate",
            ),
        };
        let unreadable = self.0.iter().filter(|(_, counts)| counts.unreadable > 0);
        let if_lost: Vec<&str> = unreadable.map(|(column, _)| column.if_lost).collect();
        let remedy = format!("{remedy}; if it is lost, {}", if_lost.join(", "));
        Some(Failure::failed(format!("{problem} {lost}"), remedy))
    }

    /// Says that the previous key is still needed; none if it is not.
    pub(crate) fn left_to_rotate(&self) -> Option<String> {
        let left = self.list(|counts| counts.previous);
        (!left.is_empty()).then(|| format!("still sealed with JHE_OW_SECRET_KEY_PREVIOUS: {left}"))
    }
}

/// Tries the key on everything that is sealed.
pub(crate) fn inspect(db: &Connection, key: Option<&SealingKey>) -> StoreResult<SealedValues> {
    let mut found = SealedValues::default();
    for column in SEALED_COLUMNS {
        found.add(column, visit(db, column, key, |_, _| Ok(()))?);
    }
    Ok(found)
}

/// Seals the values of a column with the current key, unless they are already. [`SealCounts::previous`] counts those that
/// were sealed again. A value that no key opens stays.
pub(crate) fn rotate(
    db: &Connection,
    column: &'static SealedColumn,
    key: &SealingKey,
) -> StoreResult<SealCounts> {
    let update = format!("UPDATE {} SET {} = ? WHERE {} = ?", column.table, column.column, column.id);
    visit(db, column, Some(key), |row, text| {
        let sealed = key.seal(&row.context, text).map_err(|failure| StoreError::Other(failure.message))?;
        let value =
            if row.is_text { Value::Text(sealing::sealed_text(&sealed)) } else { Value::Blob(sealed) };
        db.execute(&update, params![value, row.id])?;
        Ok(())
    })
}

struct SealedRow {
    id: String,
    context: String,
    sealed: Vec<u8>,
    /// The column holds texts.
    is_text: bool,
}

/// Counts the values of a column by the key that opens them, and calls `seal_again` for those of the previous key.
fn visit(
    db: &Connection,
    column: &SealedColumn,
    key: Option<&SealingKey>,
    seal_again: impl Fn(&SealedRow, &str) -> StoreResult<()>,
) -> StoreResult<SealCounts> {
    let mut counts = SealCounts::default();
    for row in read(db, column)? {
        match key.map_or(Opened::Unreadable, |key| key.open_with_either(&row.context, &row.sealed)) {
            Opened::Current(_) => counts.current += 1,
            Opened::Previous(text) => {
                seal_again(&row, text.expose_secret())?;
                counts.previous += 1;
            }
            Opened::Unreadable => counts.unreadable += 1,
        }
    }
    Ok(counts)
}

fn read(db: &Connection, column: &SealedColumn) -> StoreResult<Vec<SealedRow>> {
    let SealedColumn { table, id, column: value, context, .. } = column;
    let select = format!("SELECT CAST({id} AS TEXT), {value} FROM {table} WHERE {value} IS NOT NULL");
    let mut query = db.prepare(&select)?;
    let rows = query.query_map([], |row| {
        let id: String = row.get(0)?;
        let Some(context) = context(&id) else { return Ok(None) };
        let (sealed, is_text) = match row.get_ref(1)? {
            ValueRef::Text(text) => {
                (str::from_utf8(text).ok().and_then(sealing::parse_sealed_text).unwrap_or_default(), true)
            }
            ValueRef::Blob(bytes) => (bytes.to_vec(), false),
            _ => (Vec::new(), false),
        };
        Ok(Some(SealedRow { id, context, sealed, is_text }))
    })?;
    Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}
