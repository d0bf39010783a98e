-- After a restore it is not known whether a consent that was recorded here has been withdrawn since the backup.
-- 1: such a consent, withdrawn as of the backup until an operator confirms it.
ALTER TABLE consents ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1));
CREATE INDEX consents_suspended ON consents (patient_id) WHERE suspended = 1;

-- How far back the grant reaches: granted_at minus `ow.first_connect_window` as it was then. The text that the patient
-- agreed to says this number; a larger setting does not widen an earlier grant. NULL: granted before this was recorded.
ALTER TABLE consents ADD COLUMN covers_from INTEGER;

-- The same columns with those of the key first: the integrity check of SQLite before 3.41 misreads another order.
ALTER TABLE erased_identifiers RENAME TO erased_identifiers_v1;
CREATE TABLE erased_identifiers (
    patient_id INTEGER NOT NULL REFERENCES erasures (patient_id),
    kind       TEXT    NOT NULL CHECK (kind IN ('jhe', 'ow')),
    -- SHA-256 of the salt, the kind and the identifier.
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    salt       BLOB    NOT NULL CHECK (length(salt) = 16),
    PRIMARY KEY (patient_id, kind, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO erased_identifiers (patient_id, kind, hash, salt) SELECT patient_id, kind, hash, salt FROM erased_identifiers_v1;
DROP TABLE erased_identifiers_v1;

-- A sample with a time in the future, of a device with a wrong clock, hid that its patient is silent.
UPDATE sync_status SET newest_instant = unixepoch() * 1000000 WHERE newest_instant > unixepoch() * 1000000;
