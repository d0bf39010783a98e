-- Practitioners and patients as people who sign in: accounts, sessions, studies, invitations, consents
-- that say what was agreed to, and how far a patient's device is connected. Secrets stand here as their
-- SHA-256 only.

CREATE TABLE account (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'manager', 'operator')),
    -- argon2id, as a PHC string; none until the first sign-in sets one.
    password   TEXT,
    disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

-- A link that signs an account in once, to set a password.
CREATE TABLE sign_in_link (
    hash       BLOB    PRIMARY KEY,
    account    INTEGER NOT NULL REFERENCES account (id),
    -- Whether a start printed it: the next one prints another.
    at_start   INTEGER NOT NULL CHECK (at_start IN (0, 1)),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    hash       BLOB    PRIMARY KEY,
    account    INTEGER REFERENCES account (id),
    patient    INTEGER REFERENCES patient (id),
    began_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK ((account IS NULL) <> (patient IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of_account ON session (account) WHERE account IS NOT NULL;
CREATE INDEX session_of_patient ON session (patient) WHERE patient IS NOT NULL;

-- What API clients show for one patient.
CREATE TABLE api_token (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    patient    INTEGER NOT NULL REFERENCES patient (id),
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX api_token_of_patient ON api_token (patient);

CREATE TABLE study (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    -- Who asks, why, and whom to write to: the patient reads these before agreeing.
    organization TEXT    NOT NULL,
    purpose      TEXT    NOT NULL,
    contact      TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE study_code (
    study INTEGER NOT NULL REFERENCES study (id),
    code  INTEGER NOT NULL REFERENCES code (id),
    PRIMARY KEY (study, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE study_data_source (
    study       INTEGER NOT NULL REFERENCES study (id),
    data_source INTEGER NOT NULL REFERENCES data_source (id),
    PRIMARY KEY (study, data_source)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment (
    study       INTEGER NOT NULL REFERENCES study (id),
    patient     INTEGER NOT NULL REFERENCES patient (id),
    enrolled_at INTEGER NOT NULL,
    PRIMARY KEY (study, patient)
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolment_of_patient ON enrolment (patient);

CREATE TABLE invitation (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    patient    INTEGER NOT NULL REFERENCES patient (id),
    -- None asks for every study that the patient is enrolled in.
    study      INTEGER REFERENCES study (id),
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    used_at    INTEGER,
    -- The browser that used it, so that a form sent twice is no stranger's.
    used_by    BLOB
) STRICT;
CREATE INDEX invitation_of_patient ON invitation (patient, id);

-- Every wording that anybody agreed to, by its SHA-256.
CREATE TABLE consent_text (
    hash     BLOB PRIMARY KEY,
    version  TEXT NOT NULL,
    language TEXT NOT NULL,
    wording  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per grant; an open row is a consent that stands. A grant that an operator noted by hand names
-- no study and no wording.
CREATE TABLE consent_2 (
    id           INTEGER PRIMARY KEY,
    patient      INTEGER NOT NULL REFERENCES patient (id),
    code         INTEGER NOT NULL REFERENCES code (id),
    study        INTEGER REFERENCES study (id),
    granted_at   INTEGER NOT NULL,
    withdrawn_at INTEGER CHECK (withdrawn_at >= granted_at),
    wording      BLOB REFERENCES consent_text (hash)
) STRICT;
INSERT INTO consent_2 (patient, code, granted_at, withdrawn_at)
SELECT patient, code, granted_at, withdrawn_at FROM consent ORDER BY granted_at;
DROP TABLE consent;
ALTER TABLE consent_2 RENAME TO consent;
CREATE UNIQUE INDEX consent_that_stands ON consent (patient, code, ifnull(study, 0)) WHERE withdrawn_at IS NULL;
CREATE INDEX consent_of_patient ON consent (patient, code, granted_at);

-- How far a patient's account at a provider is connected through OW, as last seen. One that is ending could
-- not be ended at OW yet; that is tried again.
CREATE TABLE connection (
    patient    INTEGER NOT NULL REFERENCES patient (id),
    provider   TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('authorizing', 'active', 'ending', 'ended')),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (patient, provider)
) STRICT, WITHOUT ROWID;

-- An authorization under way at a provider, by the SHA-256 of OW's state; single use.
CREATE TABLE authorization (
    state      BLOB    PRIMARY KEY,
    patient    INTEGER NOT NULL REFERENCES patient (id),
    provider   TEXT    NOT NULL,
    -- The browser's session; none where an API client began it.
    session    BLOB,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What OW knows the patient by: random, so that the patients of another database are never taken for these.
ALTER TABLE patient ADD COLUMN external_id TEXT;
UPDATE patient SET external_id = lower(hex(randomblob(16)));
CREATE UNIQUE INDEX patient_of_external_id ON patient (external_id);

CREATE INDEX audit_of_patient ON audit (patient, id) WHERE patient IS NOT NULL;
