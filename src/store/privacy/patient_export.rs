//! Exports everything stored about one patient as rows of JSON, without secrets and without the data of
//! streams that were entered in error, which are another person's.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

/// A name and a query for the rows of one patient.
type PatientQuery = (&'static str, &'static str);

/// Columns with instants (microseconds), besides those whose names end in `_at`.
const INSTANTS: &[&str] = &["instant", "since", "until", "read_until", "newest_instant"];

/// Queries with few rows: each is one member of the JSON document.
pub const DOCUMENT_QUERIES: &[PatientQuery] = &[
    (
        "patient",
        "SELECT id, name, email, language, time_zone, time_zone_set_at, jhe_patient_id, subject AS ow_subject, external_id, created_at,
         consents_refreshed_at, connected_at
         FROM patients WHERE id = ?",
    ),
    ("links", "SELECT ow_user_id, state, linked_at, unlinked_at FROM links WHERE patient_id = ? ORDER BY id"),
    (
        "consents",
        "SELECT codes.code, studies.name AS study, granted_at, withdrawn_at, jhe_confirmed_at, data_erased_at,
                version, consent_texts.language, lower(hex(consents.text_hash)) AS text_sha256, consent_texts.text
         FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = consents.study_id
         LEFT JOIN consent_texts ON hash = consents.text_hash
         WHERE patient_id = ? ORDER BY granted_at, consents.id",
    ),
    (
        "pending_consents",
        "SELECT codes.code, studies.name AS study, lower(hex(text_hash)) AS text_sha256, submitted_at
         FROM pending_consents JOIN codes ON codes.id = pending_consents.code_id
         JOIN studies ON studies.id = study_id
         WHERE patient_id = ? ORDER BY submitted_at",
    ),
    (
        "studies",
        "SELECT name, organization, purpose, contact, jhe_study_id, enrolled_at, collects_from, collects_until,
                own_collection_until, completed_at, reminders_agreed_at
         FROM enrolments JOIN studies ON studies.id = study_id WHERE patient_id = ? ORDER BY enrolled_at",
    ),
    (
        "organizations",
        "SELECT jhe_organization_id FROM patient_organizations WHERE patient_id = ? ORDER BY 1",
    ),
    (
        "invitations",
        "SELECT studies.name AS study, issued_at, invitations.expires_at, revoked_at, used_at, completed_at
         FROM invitations LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ? ORDER BY invitations.id",
    ),
    (
        "mails",
        "SELECT iif(new_link, 'new-link', kind) AS kind, studies.name AS study, state, queued_at, attempts, settled_at, last_error
         FROM mails JOIN studies ON studies.id = study_id WHERE patient_id = ? ORDER BY mails.id",
    ),
    ("sessions", "SELECT created_at, expires_at, may_grant FROM sessions WHERE patient_id = ? ORDER BY created_at"),
    (
        "api_tokens",
        "SELECT name AS label, created_at, expires_at, last_used_at, revoked_at FROM api_tokens
         WHERE patient_id = ? ORDER BY id",
    ),
    ("devices", "SELECT provider, state, changed_at FROM connections WHERE patient_id = ? ORDER BY provider"),
    (
        "authorizations",
        "SELECT provider, expires_at FROM authorizations WHERE patient_id = ? ORDER BY expires_at",
    ),
    (
        "sync_status",
        "SELECT polled_at, last_error, newest_instant, deep_read_at, wide_read_at, completeness_checked_at,
                missing_samples, fully_read_at, empty_polls, failed_polls,
                provider_pulled_at, connections_checked_at, contradicting_offset FROM sync_status WHERE patient_id = ?",
    ),
    (
        "high_water_marks",
        "SELECT ow_user_id, mode, series_type, instant FROM high_water_marks JOIN links ON links.id = link_id
         WHERE patient_id = ? ORDER BY link_id, mode, series_type",
    ),
    ("silence", "SELECT since, cause, detected_at FROM silences WHERE patient_id = ?"),
    (
        "alerts",
        "SELECT channel, kind, since, cause, raised_at, sent_at FROM alerts WHERE patient_id = ? ORDER BY id",
    ),
    ("backfills", "SELECT request, since, until, read_until, started_at FROM backfills WHERE patient_id = ?"),
    ("historical_reads", "SELECT ow_run_id, since, until, attempts, due_at, completed_at FROM historical_reads
     WHERE patient_id = ?"),
];

/// Queries that may have many rows: each has its own file, with one row per line.
pub const LIST_QUERIES: &[PatientQuery] = &[
    (
        "rejected",
        "SELECT system, series_type, reason, sample, first_seen_at, last_seen_at
         FROM rejected_samples WHERE patient_id = ? ORDER BY id",
    ),
    (
        "events",
        "SELECT streams.system, series_type, provider, event_ids.event_id, instant FROM streams
         JOIN event_ids ON event_ids.stream_id = streams.id
         WHERE patient_id = ? AND entered_in_error = 0 ORDER BY streams.id, instant",
    ),
    (
        "deliveries",
        "SELECT streams.system, series_type, provider, source, device, instant, revision, value, details,
                state, due_at, attempts, reason
         FROM streams JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ? AND entered_in_error = 0 ORDER BY streams.id, instant, revision",
    ),
    (
        "delivered_by_others",
        "SELECT codes.code, instant, value FROM delivered_elsewhere
         JOIN codes ON codes.id = delivered_elsewhere.code_id
         WHERE patient_id = ? ORDER BY codes.code, instant",
    ),
    (
        "payloads",
        "SELECT ow_user_id, date(day * 86400, 'unixepoch') AS day, raw_objects.name, etag, raw_objects.state,
         endpoint, checked_at, error
         FROM links JOIN raw_objects ON raw_objects.link_id = links.id WHERE patient_id = ?
         ORDER BY links.id, day, raw_objects.name",
    ),
    (
        "hours",
        "SELECT codes.code, hour * 3600000000 AS hour_at, samples FROM hourly_sample_counts
         JOIN codes ON codes.id = hourly_sample_counts.code_id
         WHERE patient_id = ? ORDER BY hour, codes.code",
    ),
    (
        "data_hours",
        "SELECT codes.code, day * 86400000000 AS day_at, hours FROM data_hours
         JOIN codes ON codes.id = data_hours.code_id WHERE patient_id = ? ORDER BY day, codes.code",
    ),
    (
        "audit",
        "SELECT id, recorded_at, actor, action, detail FROM audit_entries WHERE patient_id = ? ORDER BY id",
    ),
];

/// Calls `work` with each row of a query, in order, and stops at its first error.
pub fn for_each_row(
    db: &Connection,
    (_, sql): PatientQuery,
    patient: PatientId,
    mut work: impl FnMut(Value) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut query = db.prepare(sql)?;
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let mut rows = query.query([patient])?;
    while let Some(row) = rows.next()? {
        work(to_json(row, &names)?)?;
    }
    Ok(())
}

fn to_json(row: &Row, names: &[String]) -> StoreResult<Value> {
    let mut object = Map::new();
    for (index, name) in names.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Integer(micros) if is_instant(name) => {
                Timestamp::from_micros(micros).to_string().into()
            }
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
            // Only secrets are stored as blobs.
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
    use crate::store::engine::open::in_memory;

    #[test]
    fn every_table_with_rows_of_a_patient_is_exported() {
        let db = in_memory();
        let mut query = db
            .prepare(
                "SELECT DISTINCT s.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
                 WHERE s.type = 'table' AND c.name IN ('patient_id', 'stream_id', 'link_id') ORDER BY 1",
            )
            .unwrap();
        let tables: BTreeSet<String> =
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let queries: Vec<&str> = DOCUMENT_QUERIES.iter().chain(LIST_QUERIES).map(|(_, sql)| *sql).collect();
        let is_read = |table: &String| {
            let words = queries.iter().flat_map(|sql| sql.split_whitespace()).collect::<Vec<_>>();
            words.windows(2).any(|pair| ["FROM", "JOIN"].contains(&pair[0]) && pair[1] == table)
        };
        let left_out: Vec<&String> = tables.iter().filter(|table| !is_read(table)).collect();
        // Observations have a file of their own; the others hold counts, secrets, or erased patients.
        let expected = [
            "erased_identifiers",
            "erasures",
            "export_exclusions",
            "jhe_tokens",
            "observations",
            "outbox_counts",
            "raw_object_counts",
            "removed_observations",
            "revisions",
        ];
        assert_eq!(left_out, expected);
    }

    #[test]
    fn every_query_is_valid() {
        let db = in_memory();
        for query in DOCUMENT_QUERIES.iter().chain(LIST_QUERIES) {
            for_each_row(&db, *query, PatientId::new(1), |_| Ok(())).unwrap();
        }
    }
}
