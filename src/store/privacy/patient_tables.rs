//! The tables with rows of one patient, in the order in which an erasure deletes them.

/// Tables with a stream and an instant; the observation comes last.
pub(crate) const OBSERVATION_TABLES: &[&str] =
    &["revisions", "outbox", "export_exclusions", "event_ids", "observations"];

/// Further tables with a stream.
pub(crate) const STREAM_TABLES: &[&str] = &["outbox_counts"];

/// Tables with a link. The counts come after the counted rows, whose triggers change them.
pub(crate) const LINK_TABLES: &[&str] = &["high_water_marks", "raw_objects", "raw_object_counts"];

/// Tables with a patient.
pub(crate) const PATIENT_TABLES: &[&str] = &[
    "streams",
    "links",
    "pending_consents",
    "consents",
    "enrolments",
    "invitations",
    "mails",
    "sessions",
    "api_tokens",
    "connections",
    "authorizations",
    "jhe_tokens",
    "patient_organizations",
    "delivered_elsewhere",
    "sync_status",
    "hourly_sample_counts",
    "data_hours",
    "rejected_samples",
    "removed_observations",
    "backfills",
    "historical_reads",
    "silences",
    "alerts",
];
