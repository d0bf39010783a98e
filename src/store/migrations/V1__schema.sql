-- The data model, by area: people and consent, samples, outbox, operations, privacy.
--
-- Instants (`instant`, `since`, `until`, columns that end in `_at`) are microseconds since 1970-01-01T00:00:00Z. An
-- `hour` is hours and a `day` is days since then. Booleans are 0 or 1. `patient_id` is the daemon's own number, and
-- `mode` is 'normalized' or 'raw'. Secrets are stored as their SHA-256 unless a comment says otherwise.

-- ---------------------------------------------------------------------------------------------------------------------
-- People and consent
-- ---------------------------------------------------------------------------------------------------------------------

-- The people whose data are collected.
CREATE TABLE patients (
    -- Never given to another patient, also after an erasure.
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    name                  TEXT    NOT NULL,
    email                 TEXT,
    -- IANA name; decides where a local day begins if a sample does not say.
    time_zone             TEXT    NOT NULL,
    -- OW user id of the first link. It is part of the identifier of every sample and never changes.
    subject               TEXT,
    jhe_patient_id        INTEGER UNIQUE,
    -- The patient's name at OW. It is random, so that OW never mixes up the patients of two databases.
    external_id           TEXT    NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
    -- When JHE last answered what this patient consents to.
    consents_refreshed_at INTEGER,
    created_at            INTEGER NOT NULL
) STRICT;

-- A patient's OW user. A patient has at most one that is not unlinked, and so has an OW user.
CREATE TABLE links (
    id          INTEGER PRIMARY KEY,
    patient_id  INTEGER NOT NULL REFERENCES patients (id),
    ow_user_id  TEXT    NOT NULL,
    -- needs_relink: OW does not know the user any more.
    state       TEXT    NOT NULL CHECK (state IN ('active', 'needs_relink', 'unlinked')),
    linked_at   INTEGER NOT NULL,
    unlinked_at INTEGER
) STRICT;
CREATE UNIQUE INDEX links_current_by_ow_user ON links (ow_user_id) WHERE state <> 'unlinked';
CREATE UNIQUE INDEX links_current_by_patient ON links (patient_id) WHERE state <> 'unlinked';
CREATE INDEX links_by_state ON links (state, patient_id, linked_at);

-- The codings that observations have and patients consent to (FHIR Coding). A code with consent is a scope.
CREATE TABLE codes (
    id      INTEGER PRIMARY KEY,
    system  TEXT NOT NULL,
    code    TEXT NOT NULL UNIQUE,
    display TEXT NOT NULL
) STRICT;

-- The devices that a study can accept, by provider.
CREATE TABLE data_sources (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- JHE's word for the kind of device: 'personal_device'.
    type TEXT NOT NULL
) STRICT;

-- The codes that a data source can deliver.
CREATE TABLE data_source_codes (
    data_source_id INTEGER NOT NULL REFERENCES data_sources (id),
    code_id        INTEGER NOT NULL REFERENCES codes (id),
    PRIMARY KEY (data_source_id, code_id)
) STRICT, WITHOUT ROWID;

-- The studies that patients enrol in.
CREATE TABLE studies (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    -- Who asks, why, and whom to write to: the patient reads these before agreeing.
    organization        TEXT    NOT NULL,
    purpose             TEXT    NOT NULL,
    contact             TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    -- Set where the study is one of JHE's.
    jhe_study_id        INTEGER,
    jhe_organization_id INTEGER
) STRICT;
CREATE UNIQUE INDEX studies_by_jhe_id ON studies (jhe_study_id) WHERE jhe_study_id IS NOT NULL;

-- The codes that a study asks for.
CREATE TABLE study_codes (
    study_id INTEGER NOT NULL REFERENCES studies (id),
    code_id  INTEGER NOT NULL REFERENCES codes (id),
    PRIMARY KEY (study_id, code_id)
) STRICT, WITHOUT ROWID;

-- The data sources that a study accepts. A study without any accepts all.
CREATE TABLE study_data_sources (
    study_id       INTEGER NOT NULL REFERENCES studies (id),
    data_source_id INTEGER NOT NULL REFERENCES data_sources (id),
    PRIMARY KEY (study_id, data_source_id)
) STRICT, WITHOUT ROWID;

-- The patients of a study.
CREATE TABLE enrolments (
    study_id    INTEGER NOT NULL REFERENCES studies (id),
    patient_id  INTEGER NOT NULL REFERENCES patients (id),
    enrolled_at INTEGER NOT NULL,
    PRIMARY KEY (study_id, patient_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolments_by_patient ON enrolments (patient_id);

-- The links that invite a patient to consent and to connect a device.
CREATE TABLE invitations (
    id           INTEGER PRIMARY KEY,
    token_hash   BLOB    NOT NULL UNIQUE,
    patient_id   INTEGER NOT NULL REFERENCES patients (id),
    -- NULL asks for every study that the patient is enrolled in.
    study_id     INTEGER REFERENCES studies (id),
    issued_at    INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER,
    used_at      INTEGER,
    -- The browser that used it: only that one may send the form again.
    used_by_hash BLOB
) STRICT;
CREATE INDEX invitations_by_patient ON invitations (patient_id, id);

-- Every text that anybody agreed to, by its SHA-256.
CREATE TABLE consent_texts (
    hash     BLOB PRIMARY KEY,
    version  TEXT NOT NULL,
    language TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per grant of a code; it is active until it is withdrawn. A grant that an operator recorded names no study and
-- no text.
CREATE TABLE consents (
    id                 INTEGER PRIMARY KEY,
    patient_id         INTEGER NOT NULL REFERENCES patients (id),
    code_id            INTEGER NOT NULL REFERENCES codes (id),
    study_id           INTEGER REFERENCES studies (id),
    granted_at         INTEGER NOT NULL,
    -- Equal to granted_at where the patient declined.
    withdrawn_at       INTEGER CHECK (withdrawn_at >= granted_at),
    text_hash          BLOB REFERENCES consent_texts (hash),
    -- When JHE last said that the grant is active; NULL for a grant that is not JHE's.
    jhe_confirmed_at   INTEGER,
    -- The first tick that found the withdrawal while withdrawn data are to be erased. The time until the erasure runs from
    -- here.
    withdrawal_seen_at INTEGER,
    -- When the data of the grant were erased. Samples older than this are refused, also after a new grant.
    data_erased_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX consents_active ON consents (patient_id, code_id, ifnull(study_id, 0)) WHERE withdrawn_at IS NULL;
CREATE INDEX consents_by_patient ON consents (patient_id, code_id, granted_at);

-- Grants that a patient has sent and JHE has not confirmed yet.
CREATE TABLE pending_consents (
    patient_id   INTEGER NOT NULL REFERENCES patients (id),
    study_id     INTEGER NOT NULL REFERENCES studies (id),
    code_id      INTEGER NOT NULL REFERENCES codes (id),
    text_hash    BLOB    NOT NULL REFERENCES consent_texts (hash),
    submitted_at INTEGER NOT NULL,
    PRIMARY KEY (patient_id, study_id, code_id)
) STRICT, WITHOUT ROWID;

-- A patient's account at a provider, as last seen at OW.
CREATE TABLE connections (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    provider   TEXT    NOT NULL,
    -- ending: OW has not confirmed the end yet; it is tried again.
    state      TEXT    NOT NULL CHECK (state IN ('authorizing', 'active', 'ending', 'ended')),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (patient_id, provider)
) STRICT, WITHOUT ROWID;

-- An OAuth authorization in progress at a provider. Its state parameter is good for one use.
CREATE TABLE authorizations (
    state_hash   BLOB    PRIMARY KEY,
    patient_id   INTEGER NOT NULL REFERENCES patients (id),
    provider     TEXT    NOT NULL,
    -- NULL where an API client began it.
    session_hash BLOB,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Practitioners and operators who sign in.
CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT    NOT NULL CHECK (role IN ('viewer', 'manager', 'operator')),
    -- argon2id, as a PHC string; NULL until the first sign-in sets one.
    password_hash TEXT,
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at    INTEGER NOT NULL,
    -- An account that signs in through JHE has no password here and is never an operator.
    jhe_user_id   INTEGER CHECK (jhe_user_id IS NULL OR (password_hash IS NULL AND role <> 'operator'))
) STRICT;
CREATE UNIQUE INDEX accounts_by_jhe_user ON accounts (jhe_user_id) WHERE jhe_user_id IS NOT NULL;

-- A link that signs an account in once, to set a password.
CREATE TABLE sign_in_links (
    token_hash      BLOB    PRIMARY KEY,
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    -- The daemon printed it when it started; the next start replaces it.
    made_at_startup INTEGER NOT NULL CHECK (made_at_startup IN (0, 1)),
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A signed-in browser, of an account or of a patient.
CREATE TABLE sessions (
    token_hash BLOB    PRIMARY KEY,
    account_id INTEGER REFERENCES accounts (id),
    patient_id INTEGER REFERENCES patients (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK ((account_id IS NULL) <> (patient_id IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX sessions_by_patient ON sessions (patient_id) WHERE patient_id IS NOT NULL;

-- Bearer tokens of API clients, each for one patient.
CREATE TABLE api_tokens (
    id         INTEGER PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE,
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_tokens_by_patient ON api_tokens (patient_id);

-- A patient's token at JHE, encrypted with the configured key. Without a key none is stored.
CREATE TABLE jhe_tokens (
    patient_id   INTEGER PRIMARY KEY REFERENCES patients (id),
    sealed_token BLOB NOT NULL
) STRICT;

-- A patient's organizations at JHE, as last read.
CREATE TABLE patient_organizations (
    patient_id          INTEGER NOT NULL REFERENCES patients (id),
    jhe_organization_id INTEGER NOT NULL,
    PRIMARY KEY (patient_id, jhe_organization_id)
) STRICT, WITHOUT ROWID;

-- A practitioner's organizations at JHE, as of the last sign-in. Practitioners see the patients who share one.
CREATE TABLE account_organizations (
    account_id          INTEGER NOT NULL REFERENCES accounts (id),
    jhe_organization_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, jhe_organization_id)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------------------------------------------------------------
-- Samples
-- ---------------------------------------------------------------------------------------------------------------------

-- One row per transaction that changed or deleted observations. Its number is never used twice and never decreases, so
-- a reader who remembers the last one finds everything that changed since.
CREATE TABLE commits (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    instant INTEGER NOT NULL,
    -- The run that wrote it; NULL where none did, as in an erasure. No reference: the history of runs is trimmed.
    run_id  INTEGER
) STRICT;

-- The parts of a sample's identity besides its instant. None is NULL, since SQLite treats NULLs as distinct: what OW
-- leaves out is ''.
CREATE TABLE streams (
    id                INTEGER PRIMARY KEY,
    patient_id        INTEGER NOT NULL REFERENCES patients (id),
    subject           TEXT    NOT NULL,
    -- 'ow:normalized' or 'ow:raw'.
    system            TEXT    NOT NULL,
    series_type       TEXT    NOT NULL,
    provider          TEXT    NOT NULL,
    source            TEXT    NOT NULL,
    device            TEXT    NOT NULL,
    daily_total       INTEGER NOT NULL CHECK (daily_total IN (0, 1)),
    code_id           INTEGER NOT NULL REFERENCES codes (id),
    -- Version of the renderer, fixed when the stream is made: its documents stay the same, byte for byte.
    converter_version INTEGER NOT NULL,
    newest_instant    INTEGER NOT NULL,
    -- The stream that this one continues under the new name of a device or source.
    renamed_from_id   INTEGER REFERENCES streams (id),
    -- As in FHIR: the stream came through a link to a wrong person. It is stored, and neither shown nor exported.
    entered_in_error  INTEGER NOT NULL DEFAULT 0 CHECK (entered_in_error IN (0, 1)),
    UNIQUE (patient_id, subject, system, series_type, provider, source, device, daily_total)
) STRICT;
CREATE INDEX streams_by_system ON streams (system, patient_id) WHERE entered_in_error = 0;

-- One row per sample, with its current value.
CREATE TABLE observations (
    stream_id        INTEGER NOT NULL REFERENCES streams (id),
    instant          INTEGER NOT NULL,
    -- In the unit of the series type.
    value            REAL    NOT NULL,
    -- Minutes east of UTC; NULL where the sample did not say.
    utc_offset       INTEGER,
    -- How often OW has changed the sample.
    revision         INTEGER NOT NULL,
    -- What the wearer did: 1 awake, 2 rest, 3 sleep, 4 workout, 5 live, 6 session, 7 another word of the provider's.
    activity_context INTEGER,
    -- The interval, further measures and OW's event id, as JSON with its keys in one order: equal details are equal texts.
    details          TEXT,
    -- The commit that last changed the row. No foreign key: it would be looked up for each sample.
    commit_number    INTEGER NOT NULL,
    PRIMARY KEY (stream_id, instant)
) STRICT, WITHOUT ROWID;

-- The values that later ones replaced.
CREATE TABLE revisions (
    stream_id     INTEGER NOT NULL,
    instant       INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    value         REAL    NOT NULL,
    utc_offset    INTEGER,
    details       TEXT,
    replaced_at   INTEGER NOT NULL,
    -- 0: JHE has the value or will get it; 1: JHE has certainly not got it; 2: unknown.
    undelivered   INTEGER NOT NULL DEFAULT 0 CHECK (undelivered IN (0, 1, 2)),
    -- The commit that replaced the value.
    commit_number INTEGER NOT NULL,
    PRIMARY KEY (stream_id, instant, revision),
    FOREIGN KEY (stream_id, instant) REFERENCES observations (stream_id, instant)
) STRICT, WITHOUT ROWID;

-- The observation of each OW event (a night, a workout). OW may move an event's beginning: it stays under the instant
-- at which it was first stored. An event that OW merged has several ids.
CREATE TABLE event_ids (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    event_id  TEXT    NOT NULL,
    instant   INTEGER NOT NULL,
    PRIMARY KEY (stream_id, event_id)
) STRICT, WITHOUT ROWID;

-- The newest sample time committed; never later than the start of the tick that moved it.
CREATE TABLE high_water_marks (
    link_id     INTEGER NOT NULL REFERENCES links (id),
    mode        TEXT    NOT NULL,
    series_type TEXT    NOT NULL,
    instant     INTEGER NOT NULL,
    PRIMARY KEY (link_id, mode, series_type)
) STRICT, WITHOUT ROWID;

-- Samples that could not be converted, with the reason.
CREATE TABLE rejected_samples (
    id            INTEGER PRIMARY KEY,
    patient_id    INTEGER NOT NULL REFERENCES patients (id),
    system        TEXT    NOT NULL,
    series_type   TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    -- As OW or the provider gave it.
    sample        TEXT    NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    UNIQUE (patient_id, system, series_type, sample)
) STRICT;

-- New samples per hour of sample time, for the last 8 days.
CREATE TABLE hourly_sample_counts (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    hour       INTEGER NOT NULL,
    code_id    INTEGER NOT NULL REFERENCES codes (id),
    samples    INTEGER NOT NULL,
    PRIMARY KEY (patient_id, hour, code_id)
) STRICT, WITHOUT ROWID;

-- Reads of the past that a person requested, until they end. A killed one resumes.
CREATE TABLE backfills (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    -- The range as the person wrote it.
    request    TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    -- The end of the part that is read.
    read_until INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (patient_id, request)
) STRICT, WITHOUT ROWID;

-- Historical ranges that OW has synced and the daemon has not read yet. A completed one stays for a while, so that it
-- is not read again.
CREATE TABLE historical_reads (
    patient_id       INTEGER NOT NULL REFERENCES patients (id),
    -- OW's sync run; '' where webhooks named the samples.
    ow_run_id        TEXT    NOT NULL,
    -- The run's last activity, in OW's words; '' where unknown.
    ow_last_activity TEXT    NOT NULL,
    since            INTEGER NOT NULL,
    until            INTEGER NOT NULL,
    -- Consecutive reads that failed.
    attempts         INTEGER NOT NULL DEFAULT 0,
    due_at           INTEGER NOT NULL,
    completed_at     INTEGER,
    PRIMARY KEY (patient_id, ow_run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX historical_reads_due ON historical_reads (due_at) WHERE completed_at IS NULL;

-- The known payloads in the bucket. An object's key is the configured prefix, its day, the OW user and its name.
CREATE TABLE raw_objects (
    link_id    INTEGER NOT NULL REFERENCES links (id),
    -- The day of storing, from the key.
    day        INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    etag       TEXT    NOT NULL,
    -- read: every sample of it is committed; other: its endpoint is not ingested; failed: tried again; lost: failed, and
    -- gone from the bucket.
    state      TEXT    NOT NULL CHECK (state IN ('read', 'other', 'failed', 'lost')),
    -- The provider's endpoint; NULL where unknown.
    endpoint   TEXT,
    -- When the state was recorded.
    checked_at INTEGER NOT NULL,
    -- Why it failed, or how much of it consent withheld.
    error      TEXT,
    PRIMARY KEY (link_id, day, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX raw_objects_in_error ON raw_objects (link_id, day, name) WHERE state IN ('failed', 'lost');

-- The number of a link's objects in each state, kept by triggers: pages read counters and count nothing.
CREATE TABLE raw_object_counts (
    link_id INTEGER NOT NULL REFERENCES links (id),
    state   TEXT    NOT NULL,
    rows    INTEGER NOT NULL,
    PRIMARY KEY (link_id, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER raw_objects_insert AFTER INSERT ON raw_objects BEGIN
    INSERT INTO raw_object_counts (link_id, state, rows) VALUES (new.link_id, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
CREATE TRIGGER raw_objects_delete AFTER DELETE ON raw_objects BEGIN
    UPDATE raw_object_counts SET rows = rows - 1 WHERE link_id = old.link_id AND state = old.state;
END;
CREATE TRIGGER raw_objects_update AFTER UPDATE OF state ON raw_objects WHEN old.state <> new.state BEGIN
    UPDATE raw_object_counts SET rows = rows - 1 WHERE link_id = old.link_id AND state = old.state;
    INSERT INTO raw_object_counts (link_id, state, rows) VALUES (new.link_id, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

-- ---------------------------------------------------------------------------------------------------------------------
-- Outbox
-- ---------------------------------------------------------------------------------------------------------------------

-- Observations that JHE has not acknowledged. A row carries its own value, so that a late answer never settles a newer
-- one. An acknowledged row is deleted.
CREATE TABLE outbox (
    stream_id    INTEGER NOT NULL REFERENCES streams (id),
    instant      INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    value        REAL    NOT NULL,
    utc_offset   INTEGER,
    details      TEXT,
    -- pending: sent at due_at; consent: parked until consent returns; configuration: parked until somebody mends it, and
    -- tried again at due_at; dead: rejected by JHE.
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'consent', 'configuration', 'dead')),
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- An earlier attempt may have arrived although no answer came.
    ambiguous    INTEGER NOT NULL DEFAULT 0 CHECK (ambiguous IN (0, 1)),
    -- Why it is not delivered.
    reason       TEXT,
    -- Queued again, as after a restore: JHE may already have it.
    requeued     INTEGER NOT NULL DEFAULT 0 CHECK (requeued IN (0, 1)),
    -- When it was first due; due_at moves on with each attempt.
    first_due_at INTEGER NOT NULL,
    PRIMARY KEY (stream_id, instant, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_pending ON outbox (first_due_at) WHERE state = 'pending';

-- The number of a stream's rows in each state, kept by triggers.
CREATE TABLE outbox_counts (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    state     TEXT    NOT NULL,
    rows      INTEGER NOT NULL,
    PRIMARY KEY (stream_id, state)
) STRICT, WITHOUT ROWID;

-- The number of all rows in each state, kept by triggers.
CREATE TABLE outbox_totals (
    state TEXT    PRIMARY KEY,
    rows  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_totals (state, rows) VALUES ('pending', 0), ('consent', 0), ('configuration', 0), ('dead', 0);
CREATE TRIGGER outbox_insert AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_counts (stream_id, state, rows) VALUES (new.stream_id, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
    UPDATE outbox_totals SET rows = rows + 1 WHERE state = new.state;
END;
CREATE TRIGGER outbox_delete AFTER DELETE ON outbox BEGIN
    UPDATE outbox_counts SET rows = rows - 1 WHERE stream_id = old.stream_id AND state = old.state;
    UPDATE outbox_totals SET rows = rows - 1 WHERE state = old.state;
END;
CREATE TRIGGER outbox_update AFTER UPDATE OF state ON outbox WHEN old.state <> new.state BEGIN
    UPDATE outbox_counts SET rows = rows - 1 WHERE stream_id = old.stream_id AND state = old.state;
    INSERT INTO outbox_counts (stream_id, state, rows) VALUES (new.stream_id, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
    UPDATE outbox_totals SET rows = rows - 1 WHERE state = old.state;
    UPDATE outbox_totals SET rows = rows + 1 WHERE state = new.state;
END;

-- Observations that another client has delivered to JHE. They are not sent again, also where the daemon reads them only
-- later.
CREATE TABLE delivered_elsewhere (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    code_id    INTEGER NOT NULL REFERENCES codes (id),
    instant    INTEGER NOT NULL,
    value      REAL    NOT NULL,
    PRIMARY KEY (patient_id, code_id, instant, value)
) STRICT, WITHOUT ROWID;

-- Observations that are not exported, because the same sample of the other mode is, or may be.
CREATE TABLE export_exclusions (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    instant   INTEGER NOT NULL,
    PRIMARY KEY (stream_id, instant)
) STRICT, WITHOUT ROWID;

-- The setting `ow.export_system` that the outbox was last adapted to. No row while that is under way.
CREATE TABLE applied_export_system (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    system TEXT NOT NULL
) STRICT;

-- ---------------------------------------------------------------------------------------------------------------------
-- Operations
-- ---------------------------------------------------------------------------------------------------------------------

-- What an operator changes at run time, and the lock `ow.sync_in_progress`.
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The process that wrote the setting `ow.sync_in_progress`. No row where nobody holds the lock.
CREATE TABLE sync_lock (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    -- A random token, also in the name of a file that the process keeps locked while it lives.
    owner             TEXT NOT NULL,
    -- The setting as this owner wrote it: another value means that somebody else changed it.
    setting_value     TEXT NOT NULL,
    -- tick: all patients; part: some patients, by request or webhook; backfill: a slice of the past.
    kind              TEXT NOT NULL CHECK (kind IN ('tick', 'part', 'backfill')),
    -- Another process waits for the lock; only a tick makes it wait until its end.
    release_requested INTEGER NOT NULL DEFAULT 0 CHECK (release_requested IN (0, 1)),
    -- The owner's current run.
    run_id            INTEGER
) STRICT;

-- The history of ticks, of polls of some patients and of backfills, for 90 days.
CREATE TABLE runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL CHECK (kind IN ('tick', 'part', 'backfill')),
    mode            TEXT    NOT NULL,
    started_at      INTEGER NOT NULL,
    -- NULL while it runs, or where it was killed.
    ended_at        INTEGER,
    -- The sentence that `jhe-ow poll` prints.
    outcome         TEXT,
    patients        INTEGER NOT NULL DEFAULT 0,
    failed_patients INTEGER NOT NULL DEFAULT 0,
    created         INTEGER NOT NULL DEFAULT 0,
    revised         INTEGER NOT NULL DEFAULT 0,
    rejected        INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The state of polling per patient, which the pages read.
CREATE TABLE sync_status (
    patient_id              INTEGER PRIMARY KEY REFERENCES patients (id),
    polled_at               INTEGER,
    -- Why the last poll failed; NULL where it did not.
    last_error              TEXT,
    newest_instant          INTEGER,
    -- The last read of 7 days, and of 35.
    deep_read_at            INTEGER,
    wide_read_at            INTEGER,
    -- When the samples of the last full days were last compared with OW's count, and how many are missing here.
    completeness_checked_at INTEGER,
    missing_samples         INTEGER NOT NULL DEFAULT 0,
    -- The last poll that read everything.
    fully_read_at           INTEGER,
    -- Polls since the last new sample that read everything and found nothing new.
    empty_polls             INTEGER NOT NULL DEFAULT 0,
    -- Polls since the last good one that failed at OW.
    failed_polls            INTEGER NOT NULL DEFAULT 0,
    -- When OW last fetched anything from a provider that it pulls, and when OW was last asked about connections.
    provider_pulled_at      INTEGER,
    connections_checked_at  INTEGER
) STRICT;

-- Counters over the whole life of the store, by name.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters of all patients together per hour, for 35 days.
CREATE TABLE hourly_counters (
    hour              INTEGER PRIMARY KEY,
    created           INTEGER NOT NULL DEFAULT 0,
    revised           INTEGER NOT NULL DEFAULT 0,
    rejected          INTEGER NOT NULL DEFAULT 0,
    -- The lag is the time from a measurement to its commit, of new samples measured since their link began: how many,
    -- the sum of their lags, and the longest.
    lag_samples       INTEGER NOT NULL DEFAULT 0,
    lag_seconds       INTEGER NOT NULL DEFAULT 0,
    lag_max_seconds   INTEGER NOT NULL DEFAULT 0,
    -- Ticks that ended; of them, those with patients in error and those that stopped early; the time of all.
    ticks             INTEGER NOT NULL DEFAULT 0,
    ticks_partial     INTEGER NOT NULL DEFAULT 0,
    ticks_failed      INTEGER NOT NULL DEFAULT 0,
    tick_milliseconds INTEGER NOT NULL DEFAULT 0,
    -- Outcomes of deliveries to JHE.
    delivered         INTEGER NOT NULL DEFAULT 0,
    parked            INTEGER NOT NULL DEFAULT 0,
    dead              INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Errors per hour, by the component that failed, for 35 days.
CREATE TABLE hourly_errors (
    hour   INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (hour, kind)
) STRICT, WITHOUT ROWID;

-- Patients from whom nothing comes at present.
CREATE TABLE silences (
    patient_id  INTEGER PRIMARY KEY REFERENCES patients (id),
    -- The newest sample, or the link where there never was one.
    since       INTEGER NOT NULL,
    cause       TEXT    NOT NULL,
    detected_at INTEGER NOT NULL
) STRICT;

-- Alerts to send and sent, one row per channel.
CREATE TABLE alerts (
    id         INTEGER PRIMARY KEY,
    channel    TEXT    NOT NULL CHECK (channel IN ('webhook', 'mail')),
    kind       TEXT    NOT NULL,
    -- NULL where the alert is about the daemon.
    patient_id INTEGER REFERENCES patients (id),
    since      INTEGER NOT NULL,
    cause      TEXT    NOT NULL,
    raised_at  INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL,
    sent_at    INTEGER,
    -- Why the last attempt failed.
    last_error TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_once ON alerts (channel, kind, ifnull(patient_id, 0), since);
CREATE INDEX alerts_by_patient ON alerts (patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX alerts_unsent ON alerts (due_at) WHERE sent_at IS NULL;

-- ---------------------------------------------------------------------------------------------------------------------
-- Privacy
-- ---------------------------------------------------------------------------------------------------------------------

-- Who did what. Entries are append-only and hold opaque ids and fixed words, so that an erasure leaves them as they are.
CREATE TABLE audit_entries (
    id          INTEGER PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    patient_id  INTEGER,
    detail      TEXT    NOT NULL,
    -- SHA-256 of the previous entry's hash and this entry's content.
    hash        BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_entries_by_patient ON audit_entries (patient_id, id) WHERE patient_id IS NOT NULL;
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

-- The newest entry, apart from the entries, so that entries missing at the end are noticed.
CREATE TABLE audit_chain_head (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    last_entry_id INTEGER NOT NULL,
    -- The last entry's hash.
    hash          BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Patients whose erasure has begun or is done. No reference: the patient's row is deleted.
CREATE TABLE erasures (
    patient_id      INTEGER PRIMARY KEY,
    started_at      INTEGER NOT NULL,
    rows_deleted_at INTEGER,
    -- When the file had been rewritten without them.
    vacuumed_at     INTEGER
) STRICT;

-- An erased patient's identifiers at JHE and OW, so that the person is not taken in again unawares.
CREATE TABLE erased_identifiers (
    patient_id INTEGER NOT NULL REFERENCES erasures (patient_id),
    kind       TEXT    NOT NULL CHECK (kind IN ('jhe', 'ow')),
    salt       BLOB    NOT NULL CHECK (length(salt) = 16),
    -- SHA-256 of the salt, the kind and the identifier.
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (patient_id, kind, hash)
) STRICT, WITHOUT ROWID;
