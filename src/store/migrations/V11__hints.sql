-- Polls of some patients only: nobody takes one for a tick, and a tick waits for its end.

CREATE TABLE new_lock (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    owner TEXT NOT NULL,
    value TEXT NOT NULL,
    kind  TEXT NOT NULL CHECK (kind IN ('tick', 'part', 'backfill')),
    -- Whether somebody waits to be let in.
    wanted INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1))
) STRICT;
INSERT INTO new_lock (id, owner, value, kind, wanted) SELECT id, owner, value, kind, wanted FROM lock;
DROP TABLE lock;
ALTER TABLE new_lock RENAME TO lock;

CREATE TABLE new_run (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('tick', 'part', 'backfill')),
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
INSERT INTO new_run (id, kind, mode, started_at, ended_at, outcome, patients, failed, created, revised, rejected)
SELECT id, kind, mode, started_at, ended_at, outcome, patients, failed, created, revised, rejected FROM run;
DROP TABLE run;
ALTER TABLE new_run RENAME TO run;

-- The past that OW said it has fetched, until it was read to its end; and for a while after, so that it is not read again.
CREATE TABLE owed (
    patient INTEGER NOT NULL REFERENCES patient (id),
    -- OW's name of the run that fetched it; empty where messages told of samples.
    run     TEXT    NOT NULL,
    -- The run's last sign of life, as OW's list has it; empty where that is not known.
    told    TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    -- Reads in a row that did not come to the end.
    tries   INTEGER NOT NULL DEFAULT 0,
    -- Before then it is not read.
    due_at  INTEGER NOT NULL,
    read_at INTEGER,
    PRIMARY KEY (patient, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_due ON owed (due_at) WHERE read_at IS NULL;
