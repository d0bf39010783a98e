-- What a safer sign-in needs: sessions with their last use, second factors, known browsers, and tokens that expire.

ALTER TABLE sessions RENAME TO sessions_v1;
DROP INDEX sessions_by_account;
DROP INDEX sessions_by_patient;

-- A signed-in browser, of an account or of a patient.
CREATE TABLE sessions (
    -- Names the session in the list of one's own; the token names it to nobody.
    id             INTEGER PRIMARY KEY,
    token_hash     BLOB    NOT NULL UNIQUE,
    account_id     INTEGER REFERENCES accounts (id),
    patient_id     INTEGER REFERENCES patients (id),
    created_at     INTEGER NOT NULL,
    -- The absolute end.
    expires_at     INTEGER NOT NULL,
    -- Written every few seconds; the daemon knows a later one.
    last_active_at INTEGER NOT NULL,
    -- When the person last gave a password or a code. NULL: before this was recorded.
    confirmed_at   INTEGER,
    -- Fixed words such as "Firefox on Android", and the address; '' for patients.
    browser        TEXT    NOT NULL,
    address        TEXT    NOT NULL,
    CHECK ((account_id IS NULL) <> (patient_id IS NULL))
) STRICT;
INSERT INTO sessions (token_hash, account_id, patient_id, created_at, expires_at, last_active_at, browser, address)
SELECT token_hash, account_id, patient_id, created_at, expires_at, unixepoch() * 1000000, '', '' FROM sessions_v1;
DROP TABLE sessions_v1;
CREATE INDEX sessions_by_account ON sessions (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX sessions_by_patient ON sessions (patient_id) WHERE patient_id IS NOT NULL;

ALTER TABLE api_tokens RENAME TO api_tokens_v1;
DROP INDEX api_tokens_by_patient;

-- Bearer tokens of programs.
CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY,
    token_hash   BLOB    NOT NULL UNIQUE,
    -- What it is for, as a person typed it.
    name         TEXT    NOT NULL,
    -- patient: acts for one patient at /api/v1. read: reads one study's data.
    scope        TEXT    NOT NULL CHECK (scope IN ('patient', 'read')),
    patient_id   INTEGER REFERENCES patients (id),
    study_id     INTEGER REFERENCES studies (id),
    created_at   INTEGER NOT NULL,
    -- NULL: made on the command line, or before this was recorded.
    created_by   INTEGER REFERENCES accounts (id),
    -- NULL: works until it is revoked.
    expires_at   INTEGER,
    -- Written every few seconds. NULL: never used.
    last_used_at INTEGER,
    revoked_at   INTEGER,
    CHECK ((scope = 'patient') = (patient_id IS NOT NULL)),
    CHECK ((scope = 'read') = (study_id IS NOT NULL))
) STRICT;
INSERT INTO api_tokens (id, token_hash, name, scope, patient_id, created_at, revoked_at)
SELECT id, token_hash, label, 'patient', patient_id, created_at, revoked_at FROM api_tokens_v1;
DROP TABLE api_tokens_v1;
CREATE INDEX api_tokens_by_patient ON api_tokens (patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX api_tokens_by_study ON api_tokens (study_id) WHERE study_id IS NOT NULL;

-- The secret of one-time codes (RFC 6238), encrypted with the configured key. NULL: no second factor.
ALTER TABLE accounts ADD COLUMN totp_secret BLOB;
-- The time step of the last code that was taken: each code works once.
ALTER TABLE accounts ADD COLUMN totp_last_step INTEGER NOT NULL DEFAULT 0;
-- For a notice about a sign-in from a new browser. '': none.
ALTER TABLE accounts ADD COLUMN email TEXT NOT NULL DEFAULT '';

-- Codes that replace a lost device, each once: a used one is deleted. 120 random bits need no salt.
CREATE TABLE recovery_codes (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    code_hash  BLOB    NOT NULL,
    PRIMARY KEY (account_id, code_hash)
) STRICT, WITHOUT ROWID;

-- Browsers in which an account has signed in before, by their cookie.
CREATE TABLE known_browsers (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    token_hash BLOB    NOT NULL,
    -- The last sign-in.
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (account_id, token_hash)
) STRICT, WITHOUT ROWID;
