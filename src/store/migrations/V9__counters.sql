-- What the overview and the metrics read instead of counting.

-- What each hour came to, of all patients together: 35 days of it.
CREATE TABLE hour_total (
    -- Hours since 1970-01-01T00:00:00Z.
    hour          INTEGER PRIMARY KEY,
    created       INTEGER NOT NULL DEFAULT 0,
    revised       INTEGER NOT NULL DEFAULT 0,
    rejected      INTEGER NOT NULL DEFAULT 0,
    -- Of what was created and measured since its link began: how many, the seconds from each measurement until it was
    -- kept, added up, and the longest of them.
    lag_samples   INTEGER NOT NULL DEFAULT 0,
    lag_seconds   INTEGER NOT NULL DEFAULT 0,
    lag_most      INTEGER NOT NULL DEFAULT 0,
    -- Ticks that ended, those of them with patients in error, those that could not run to their end, and how long all
    -- took.
    ticks         INTEGER NOT NULL DEFAULT 0,
    ticks_partial INTEGER NOT NULL DEFAULT 0,
    ticks_failed  INTEGER NOT NULL DEFAULT 0,
    tick_millis   INTEGER NOT NULL DEFAULT 0,
    -- What became of observations that were sent to JHE.
    delivered     INTEGER NOT NULL DEFAULT 0,
    parked        INTEGER NOT NULL DEFAULT 0,
    dead          INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO hour_total (hour, delivered) SELECT hour, observations FROM delivered;
DROP TABLE delivered;

-- What went wrong in each hour, by kind.
CREATE TABLE hour_error (
    hour   INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (hour, kind)
) STRICT, WITHOUT ROWID;

-- How much of the outbox is in which state: what outbox_count says of each stream, added up.
CREATE TABLE outbox_total (
    state TEXT    PRIMARY KEY,
    rows  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_total (state, rows)
SELECT column1, (SELECT coalesce(sum(rows), 0) FROM outbox_count WHERE state = column1)
FROM (VALUES ('pending'), ('consent'), ('configuration'), ('dead'));
DROP TRIGGER outbox_in;
DROP TRIGGER outbox_out;
DROP TRIGGER outbox_moved;
CREATE TRIGGER outbox_in AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_count (stream, state, rows) VALUES (new.stream, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
    UPDATE outbox_total SET rows = rows + 1 WHERE state = new.state;
END;
CREATE TRIGGER outbox_out AFTER DELETE ON outbox BEGIN
    UPDATE outbox_count SET rows = rows - 1 WHERE stream = old.stream AND state = old.state;
    UPDATE outbox_total SET rows = rows - 1 WHERE state = old.state;
END;
CREATE TRIGGER outbox_moved AFTER UPDATE OF state ON outbox WHEN old.state <> new.state BEGIN
    UPDATE outbox_count SET rows = rows - 1 WHERE stream = old.stream AND state = old.state;
    INSERT INTO outbox_count (stream, state, rows) VALUES (new.stream, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
    UPDATE outbox_total SET rows = rows - 1 WHERE state = old.state;
    UPDATE outbox_total SET rows = rows + 1 WHERE state = new.state;
END;

-- When an observation was to be sent first; due_at moves on with each attempt.
ALTER TABLE outbox ADD COLUMN first_due_at INTEGER;
UPDATE outbox SET first_due_at = due_at;
CREATE INDEX outbox_that_waits ON outbox (first_due_at) WHERE state = 'pending';

CREATE INDEX link_of_state ON link (state, patient, linked_at);

-- Who has samples of which mode.
CREATE INDEX stream_of_system ON stream (system, patient) WHERE set_aside = 0;
