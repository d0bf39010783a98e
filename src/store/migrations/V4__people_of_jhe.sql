-- Patients and practitioners of JHE on our own pages, what JHE had before us, and revisions that nobody saw.

-- A patient's token at JHE, sealed with the configured key; without one there is none here.
CREATE TABLE jhe_token (
    patient INTEGER PRIMARY KEY REFERENCES patient (id),
    sealed  BLOB NOT NULL
) STRICT;

-- JHE's organizations, by its numbers: those of a patient as last read, those of a practitioner as of the last
-- sign-in. Who signs in through JHE sees the patients with whom an organization is shared.
CREATE TABLE patient_organization (
    patient      INTEGER NOT NULL REFERENCES patient (id),
    organization INTEGER NOT NULL,
    PRIMARY KEY (patient, organization)
) STRICT, WITHOUT ROWID;
-- Who comes from JHE has no password here, and does not run the place.
ALTER TABLE account ADD COLUMN jhe_user INTEGER
    CHECK (jhe_user IS NULL OR (password IS NULL AND role <> 'operator'));
CREATE UNIQUE INDEX account_of_jhe ON account (jhe_user) WHERE jhe_user IS NOT NULL;
CREATE TABLE account_organization (
    account      INTEGER NOT NULL REFERENCES account (id),
    organization INTEGER NOT NULL,
    PRIMARY KEY (account, organization)
) STRICT, WITHOUT ROWID;
ALTER TABLE study ADD COLUMN jhe_organization INTEGER;

-- What another client of JHE's has delivered: it is not sent again, also where we ingest it only later.
CREATE TABLE adopted (
    patient INTEGER NOT NULL REFERENCES patient (id),
    code    INTEGER NOT NULL REFERENCES code (id),
    instant INTEGER NOT NULL,
    value   REAL    NOT NULL,
    PRIMARY KEY (patient, code, instant, value)
) STRICT, WITHOUT ROWID;

-- Of a value that was replaced, whether JHE has not got it. 0: it has, or gets it yet; 1: it surely has not;
-- 2: nobody knows.
ALTER TABLE revision ADD COLUMN unsent INTEGER NOT NULL DEFAULT 0 CHECK (unsent IN (0, 1, 2));
-- Whether the row was queued once more: JHE may have got it before.
ALTER TABLE outbox ADD COLUMN repeated INTEGER NOT NULL DEFAULT 0 CHECK (repeated IN (0, 1));

-- What a patient of JHE's is about to agree to, and the words of it, until JHE is seen to have it.
CREATE TABLE intention (
    patient     INTEGER NOT NULL REFERENCES patient (id),
    study       INTEGER NOT NULL REFERENCES study (id),
    code        INTEGER NOT NULL REFERENCES code (id),
    wording     BLOB    NOT NULL REFERENCES consent_text (hash),
    intended_at INTEGER NOT NULL,
    PRIMARY KEY (patient, study, code)
) STRICT, WITHOUT ROWID;
