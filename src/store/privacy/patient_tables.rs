/// What hangs on an observation, by its stream and its instant, and the observation last.
pub(crate) const OF_OBSERVATION: &[&str] =
    &["revisions", "outbox", "export_exclusions", "event_ids", "observations"];

/// What hangs on a stream besides.
pub(crate) const OF_STREAM: &[&str] = &["outbox_counts"];

/// What hangs on a link. The count comes after what is counted.
pub(crate) const OF_LINK: &[&str] = &["high_water_marks", "raw_objects", "raw_object_counts"];

/// What hangs on a patient, after all that.
pub(crate) const OF_PATIENT: &[&str] = &[
    "streams",
    "links",
    "pending_consents",
    "consents",
    "enrolments",
    "invitations",
    "sessions",
    "api_tokens",
    "connections",
    "authorizations",
    "jhe_tokens",
    "patient_organizations",
    "delivered_elsewhere",
    "sync_status",
    "hourly_sample_counts",
    "rejected_samples",
    "backfills",
    "historical_reads",
    "silences",
    "alerts",
];
