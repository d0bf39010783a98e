-- Instants are microseconds since 1970-01-01T00:00:00Z. Ids of patients are the daemon's own.

CREATE TABLE patient (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    email      TEXT,
    -- IANA name: decides what a local day is where a sample does not say.
    time_zone  TEXT    NOT NULL,
    -- OW user id of the first link: the name under which the patient's samples are identified for good.
    subject    TEXT,
    jhe_id     INTEGER UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE link (
    id        INTEGER PRIMARY KEY,
    patient   INTEGER NOT NULL REFERENCES patient (id),
    ow_user   TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('active', 'needs_relink', 'unlinked')),
    linked_at INTEGER NOT NULL,
    ended_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX link_of_ow_user ON link (ow_user) WHERE state <> 'unlinked';
CREATE UNIQUE INDEX link_of_patient ON link (patient) WHERE state <> 'unlinked';

CREATE TABLE code (
    id      INTEGER PRIMARY KEY,
    system  TEXT NOT NULL,
    code    TEXT NOT NULL UNIQUE,
    display TEXT NOT NULL
) STRICT;

CREATE TABLE data_source (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL
) STRICT;

CREATE TABLE data_source_code (
    data_source INTEGER NOT NULL REFERENCES data_source (id),
    code        INTEGER NOT NULL REFERENCES code (id),
    PRIMARY KEY (data_source, code)
) STRICT, WITHOUT ROWID;

-- One row per grant; an open row is a consent that stands.
CREATE TABLE consent (
    patient      INTEGER NOT NULL REFERENCES patient (id),
    code         INTEGER NOT NULL REFERENCES code (id),
    granted_at   INTEGER NOT NULL,
    withdrawn_at INTEGER CHECK (withdrawn_at >= granted_at),
    PRIMARY KEY (patient, code, granted_at)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX consent_that_stands ON consent (patient, code) WHERE withdrawn_at IS NULL;

-- What a sample's identity has besides its instant. No part is NULL, since SQLite takes two NULLs for
-- different: what OW leaves out is ''.
CREATE TABLE stream (
    id          INTEGER PRIMARY KEY,
    patient     INTEGER NOT NULL REFERENCES patient (id),
    subject     TEXT    NOT NULL,
    system      TEXT    NOT NULL,
    series_type TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    device      TEXT    NOT NULL,
    daily_total INTEGER NOT NULL CHECK (daily_total IN (0, 1)),
    code        INTEGER NOT NULL REFERENCES code (id),
    -- Version of the renderer that made this stream's documents: same bytes for ever.
    converter   INTEGER NOT NULL,
    -- Newest sample time kept.
    newest      INTEGER NOT NULL,
    -- The stream whose samples this one repeats under a new name.
    continues   INTEGER REFERENCES stream (id),
    -- Came through a link that was a mistake: kept, but shown and exported no more.
    set_aside   INTEGER NOT NULL DEFAULT 0 CHECK (set_aside IN (0, 1)),
    UNIQUE (patient, subject, system, series_type, provider, source, device, daily_total)
) STRICT;

CREATE TABLE observation (
    stream   INTEGER NOT NULL REFERENCES stream (id),
    instant  INTEGER NOT NULL,
    value    REAL    NOT NULL,
    -- Minutes east of UTC, where the sample said.
    zone     INTEGER,
    revision INTEGER NOT NULL,
    PRIMARY KEY (stream, instant)
) STRICT, WITHOUT ROWID;

-- The values that later ones replaced.
CREATE TABLE revision (
    stream      INTEGER NOT NULL,
    instant     INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    value       REAL    NOT NULL,
    zone        INTEGER,
    replaced_at INTEGER NOT NULL,
    PRIMARY KEY (stream, instant, revision),
    FOREIGN KEY (stream, instant) REFERENCES observation (stream, instant)
) STRICT, WITHOUT ROWID;

-- Newest sample time committed, per link, ingest mode and series type; never later than the tick's start.
CREATE TABLE mark (
    link        INTEGER NOT NULL REFERENCES link (id),
    mode        TEXT    NOT NULL,
    series_type TEXT    NOT NULL,
    instant     INTEGER NOT NULL,
    PRIMARY KEY (link, mode, series_type)
) STRICT, WITHOUT ROWID;

-- A read of the past that somebody asked for; `position` is how far it came.
CREATE TABLE backfill (
    patient    INTEGER NOT NULL REFERENCES patient (id),
    asked      TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (patient, asked)
) STRICT, WITHOUT ROWID;

-- What JHE has not acknowledged. Carries its own value, so that a late answer never settles a newer one.
CREATE TABLE outbox (
    stream   INTEGER NOT NULL REFERENCES stream (id),
    instant  INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    value    REAL    NOT NULL,
    zone     INTEGER,
    state    TEXT    NOT NULL CHECK (state IN ('pending', 'parked', 'dead')),
    due_at   INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    detail   TEXT,
    PRIMARY KEY (stream, instant, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who holds `ow.sync_in_progress`, when a tick of ours wrote it.
CREATE TABLE lock (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    owner TEXT NOT NULL,
    value TEXT NOT NULL,
    kind  TEXT NOT NULL CHECK (kind IN ('tick', 'backfill')),
    -- Whether a tick waits for this backfill to let it in.
    wanted INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1))
) STRICT;

CREATE TABLE run (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('tick', 'backfill')),
    mode       TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT,
    patients   INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    created    INTEGER NOT NULL DEFAULT 0,
    revised    INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What the poller last knew of a patient: read by the pages, so that they count nothing.
CREATE TABLE patient_state (
    patient    INTEGER PRIMARY KEY REFERENCES patient (id),
    polled_at  INTEGER,
    error      TEXT,
    newest     INTEGER,
    deep_at    INTEGER,
    wide_at    INTEGER,
    checked_at INTEGER,
    -- Samples that OW counted in the last full days and we do not have.
    missing    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Samples kept per hour of sample time, for the last days only.
CREATE TABLE hour_count (
    patient INTEGER NOT NULL REFERENCES patient (id),
    hour    INTEGER NOT NULL,
    code    INTEGER NOT NULL REFERENCES code (id),
    samples INTEGER NOT NULL,
    PRIMARY KEY (patient, hour, code)
) STRICT, WITHOUT ROWID;

-- Counts over the whole life of the store, by name.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Samples that could not be converted, with their text and the reason.
CREATE TABLE rejected (
    id          INTEGER PRIMARY KEY,
    patient     INTEGER NOT NULL REFERENCES patient (id),
    system      TEXT    NOT NULL,
    series_type TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    sample      TEXT    NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    UNIQUE (patient, system, series_type, sample)
) STRICT;

-- Append-only; opaque ids only, so that a person can be erased without breaking it.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    patient INTEGER,
    detail  TEXT    NOT NULL
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
