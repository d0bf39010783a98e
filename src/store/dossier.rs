//! Everything that is kept of one patient, as rows of JSON: without secrets, and without what came through a link that
//! was a mistake, which is another person's.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use super::StoreError;
use crate::patient::PatientId;
use crate::time::Timestamp;

/// Rows about a patient, under a name. Columns whose names end in `_at`, and those of [`INSTANTS`], hold microseconds.
type Query = (&'static str, &'static str);

/// Columns that hold instants, besides those whose names end in `_at`.
const INSTANTS: &[&str] = &["instant", "since", "until", "position", "newest"];

/// What there are few rows of: each is a part of one document.
pub const PARTS: &[Query] = &[
    (
        "patient",
        "SELECT id, name, email, time_zone, jhe_id, subject AS ow_subject, external_id, created_at, consents_read_at
         FROM patient WHERE id = ?",
    ),
    ("links", "SELECT ow_user, state, linked_at, ended_at FROM link WHERE patient = ? ORDER BY id"),
    (
        "consents",
        "SELECT code.code, study.name AS study, granted_at, withdrawn_at, confirmed_at, erased_at, version, language,
                lower(hex(consent.wording)) AS wording_sha256, consent_text.wording
         FROM consent JOIN code ON code.id = consent.code LEFT JOIN study ON study.id = consent.study
         LEFT JOIN consent_text ON hash = consent.wording WHERE patient = ? ORDER BY granted_at, consent.id",
    ),
    (
        "intentions",
        "SELECT code.code, study.name AS study, lower(hex(wording)) AS wording_sha256, intended_at
         FROM intention JOIN code ON code.id = intention.code JOIN study ON study.id = study
         WHERE patient = ? ORDER BY intended_at",
    ),
    (
        "studies",
        "SELECT name, organization, purpose, contact, jhe_id, enrolled_at
         FROM enrolment JOIN study ON study.id = study WHERE patient = ? ORDER BY enrolled_at",
    ),
    ("organizations", "SELECT organization AS jhe_id FROM patient_organization WHERE patient = ? ORDER BY 1"),
    (
        "invitations",
        "SELECT study.name AS study, issued_at, invitation.expires_at, revoked_at, used_at
         FROM invitation LEFT JOIN study ON study.id = study WHERE patient = ? ORDER BY invitation.id",
    ),
    ("sessions", "SELECT began_at, expires_at FROM session WHERE patient = ? ORDER BY began_at"),
    ("api_tokens", "SELECT label, created_at, revoked_at FROM api_token WHERE patient = ? ORDER BY id"),
    ("devices", "SELECT provider, state, changed_at FROM connection WHERE patient = ? ORDER BY provider"),
    (
        "authorizations",
        "SELECT provider, expires_at FROM authorization WHERE patient = ? ORDER BY expires_at",
    ),
    (
        "polling",
        "SELECT polled_at, error, newest, deep_at, wide_at, checked_at, missing, read_at, empty_polls, failed_polls,
                pulled_at, devices_at FROM patient_state WHERE patient = ?",
    ),
    (
        "marks",
        "SELECT ow_user, mode, series_type, instant FROM mark JOIN link ON link.id = link
         WHERE patient = ? ORDER BY link, mode, series_type",
    ),
    ("silence", "SELECT since AS since_at, cause, noticed_at FROM silence WHERE patient = ?"),
    (
        "alerts",
        "SELECT channel, kind, since AS since_at, cause, raised_at, told_at FROM alert WHERE patient = ? ORDER BY id",
    ),
    ("backfills", "SELECT asked, since, until, position, started_at FROM backfill WHERE patient = ?"),
    ("owed", "SELECT run, since, until, tries, due_at, read_at FROM owed WHERE patient = ?"),
];

/// What there may be many rows of: each has a file, a row a line.
pub const LISTS: &[Query] = &[
    (
        "rejected",
        "SELECT system, series_type, reason, sample, first_seen AS first_seen_at, last_seen AS last_seen_at
         FROM rejected WHERE patient = ? ORDER BY id",
    ),
    (
        "events",
        "SELECT stream.system, series_type, provider, event.id, instant FROM stream JOIN event ON event.stream = stream.id
         WHERE patient = ? AND set_aside = 0 ORDER BY stream.id, instant",
    ),
    (
        "deliveries",
        "SELECT stream.system, series_type, provider, source, device, instant, revision, value, particulars, state,
                due_at, attempts, detail
         FROM stream JOIN outbox ON outbox.stream = stream.id
         WHERE patient = ? AND set_aside = 0 ORDER BY stream.id, instant, revision",
    ),
    (
        "delivered_by_others",
        "SELECT code.code, instant, value FROM adopted JOIN code ON code.id = adopted.code
         WHERE patient = ? ORDER BY code.code, instant",
    ),
    (
        "payloads",
        "SELECT ow_user, date(day * 86400, 'unixepoch') AS day, object.name, etag, object.state, endpoint, noted_at, error
         FROM link JOIN object ON object.link = link.id WHERE patient = ? ORDER BY link.id, day, object.name",
    ),
    (
        "hours",
        "SELECT code.code, hour * 3600000000 AS hour_at, samples FROM hour_count JOIN code ON code.id = hour_count.code
         WHERE patient = ? ORDER BY hour, code.code",
    ),
    ("audit", "SELECT id, at AS noted_at, actor, action, detail FROM audit WHERE patient = ? ORDER BY id"),
];

/// Hands over each row of a query, in order.
///
/// # Errors
/// Where the tables cannot be read, or `take` returns one.
pub fn each(
    db: &Connection,
    (_, sql): Query,
    patient: PatientId,
    mut take: impl FnMut(Value) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut query = db.prepare(sql)?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let mut rows = query.query([patient])?;
    while let Some(row) = rows.next()? {
        take(object(row, &names)?)?;
    }
    Ok(())
}

fn object(row: &Row, names: &[String]) -> Result<Value, StoreError> {
    let mut object = Map::new();
    for (place, name) in names.iter().enumerate() {
        let value = match row.get_ref(place)? {
            ValueRef::Integer(micros) if is_instant(name) => {
                Timestamp::from_micros(micros).to_string().into()
            }
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
            // Secrets stand in such columns, and nothing else does.
            ValueRef::Null | ValueRef::Blob(_) => Value::Null,
        };
        object.insert(name.clone(), value);
    }
    Ok(object.into())
}

fn is_instant(column: &str) -> bool {
    column.ends_with("_at") || INSTANTS.contains(&column)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::open::in_memory;

    #[test]
    fn every_table_that_has_anything_of_a_patient_is_in_it() {
        let db = in_memory();
        let mut query = db
            .prepare(
                "SELECT DISTINCT s.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
                 WHERE s.type = 'table' AND c.name IN ('patient', 'stream', 'link') ORDER BY 1",
            )
            .unwrap();
        let tables: BTreeSet<String> =
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let queries: Vec<&str> = PARTS.iter().chain(LISTS).map(|(_, sql)| *sql).collect();
        let is_read = |table: &String| {
            let words = queries.iter().flat_map(|sql| sql.split_whitespace()).collect::<Vec<_>>();
            words.windows(2).any(|pair| ["FROM", "JOIN"].contains(&pair[0]) && pair[1] == table)
        };
        let left_out: Vec<&String> = tables.iter().filter(|table| !is_read(table)).collect();
        // Observations have a file of their own; the others are counts, secrets, and of those who were erased.
        let expected = [
            "erased_name",
            "erasure",
            "jhe_token",
            "left_out",
            "object_count",
            "observation",
            "outbox_count",
            "revision",
        ];
        assert_eq!(left_out, expected);
    }

    #[test]
    fn every_query_can_be_asked() {
        let db = in_memory();
        for query in PARTS.iter().chain(LISTS) {
            each(&db, *query, PatientId::new(1), |_| Ok(())).unwrap();
        }
    }
}
