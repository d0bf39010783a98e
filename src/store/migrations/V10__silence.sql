-- Silence: what tells why nothing comes in of a patient, and what was told of it.

-- The last turn that read everything; the turns since the last new sample that read everything and found nothing new;
-- the turns since the last good one that failed at OW.
ALTER TABLE patient_state ADD COLUMN read_at INTEGER;
ALTER TABLE patient_state ADD COLUMN empty_polls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE patient_state ADD COLUMN failed_polls INTEGER NOT NULL DEFAULT 0;
-- When OW last fetched anything from the provider of a connection that it pulls, and when OW was last asked about the
-- connections.
ALTER TABLE patient_state ADD COLUMN pulled_at INTEGER;
ALTER TABLE patient_state ADD COLUMN devices_at INTEGER;

-- A silence that goes on, as it was first noticed; no row where a patient is not silent.
CREATE TABLE silence (
    patient    INTEGER PRIMARY KEY REFERENCES patient (id),
    -- The newest sample, or the link where there never was one.
    since      INTEGER NOT NULL,
    cause      TEXT    NOT NULL,
    noticed_at INTEGER NOT NULL
) STRICT;

-- What is to be told, and was, once per channel. No patient where it is about the daemon.
CREATE TABLE alert (
    id        INTEGER PRIMARY KEY,
    channel   TEXT    NOT NULL CHECK (channel IN ('webhook', 'mail')),
    kind      TEXT    NOT NULL,
    patient   INTEGER REFERENCES patient (id),
    since     INTEGER NOT NULL,
    cause     TEXT    NOT NULL,
    raised_at INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    due_at    INTEGER NOT NULL,
    told_at   INTEGER,
    -- Why the last attempt failed.
    error     TEXT
) STRICT;
CREATE UNIQUE INDEX alert_once ON alert (channel, kind, ifnull(patient, 0), since);
CREATE INDEX alert_of_patient ON alert (patient) WHERE patient IS NOT NULL;
CREATE INDEX alert_to_tell ON alert (due_at) WHERE told_at IS NULL;
