-- People whose data were erased, and consents after whose end data were.

-- A patient who is being, or was, erased. The number is never given again, and stands in the audit.
CREATE TABLE erasure (
    patient      INTEGER PRIMARY KEY,
    began_at     INTEGER NOT NULL,
    -- When the last row was gone.
    rows_gone_at INTEGER,
    -- When the file had been rewritten without them.
    vacuumed_at  INTEGER
) STRICT;

-- What JHE and OW know such a patient by, so that nobody takes the person in again unawares: SHA-256 over the salt, the
-- kind and the name.
CREATE TABLE erased_name (
    patient INTEGER NOT NULL REFERENCES erasure (patient),
    kind    TEXT    NOT NULL CHECK (kind IN ('jhe', 'ow')),
    salt    BLOB    NOT NULL CHECK (length(salt) = 16),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (patient, kind, hash)
) STRICT, WITHOUT ROWID;

-- When what a consent had brought was erased, since it had been withdrawn for as long as the settings say. What is older
-- than its end comes in no more, also where the patient agrees again.
ALTER TABLE consent ADD COLUMN erased_at INTEGER;

-- Since when the daemon has known that it is withdrawn and is to be erased some day: the end itself may lie long before.
ALTER TABLE consent ADD COLUMN erase_noted_at INTEGER;
