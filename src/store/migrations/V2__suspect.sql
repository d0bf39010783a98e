-- An observation that JHE has refused for a day for an unknown reason, while it took others, is set apart as suspect: an
-- operator decides whether it is sent again. SQLite cannot change a CHECK, so the table is copied.
DROP TRIGGER outbox_insert;
DROP TRIGGER outbox_delete;
DROP TRIGGER outbox_update;
DROP INDEX outbox_pending;
ALTER TABLE outbox RENAME TO outbox_v1;

-- Observations that JHE has not acknowledged. A row carries its own value, so that a late answer never settles a newer
-- one. An acknowledged row is deleted.
CREATE TABLE outbox (
    stream_id     INTEGER NOT NULL REFERENCES streams (id),
    instant       INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    value         REAL    NOT NULL,
    utc_offset    INTEGER,
    details       TEXT,
    -- pending: sent at due_at; consent: parked until consent returns; configuration: parked until somebody mends it, and
    -- tried again at due_at; suspect: refused for a day for an unknown reason; dead: rejected by JHE.
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'consent', 'configuration', 'suspect', 'dead')),
    due_at        INTEGER NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    -- An earlier attempt may have arrived although no answer came.
    ambiguous     INTEGER NOT NULL DEFAULT 0 CHECK (ambiguous IN (0, 1)),
    -- Why it is not delivered.
    reason        TEXT,
    -- Queued again, as after a restore: JHE may already have it.
    requeued      INTEGER NOT NULL DEFAULT 0 CHECK (requeued IN (0, 1)),
    -- When it was first due; due_at moves on with each attempt.
    first_due_at  INTEGER NOT NULL,
    -- When JHE first refused the row for an unknown reason.
    refused_since INTEGER,
    PRIMARY KEY (stream_id, instant, revision)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox SELECT *, NULL FROM outbox_v1;
DROP TABLE outbox_v1;
CREATE INDEX outbox_pending ON outbox (first_due_at) WHERE state = 'pending';

INSERT INTO outbox_totals (state, rows) VALUES ('suspect', 0);
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
