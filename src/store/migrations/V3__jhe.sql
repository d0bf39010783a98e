-- Connected to JHE: what it does not have yet, what it was last seen to say about consent, and how much it took.

-- What JHE has not acknowledged. A row carries its own value, so that a late answer never settles a newer one;
-- what JHE has acknowledged is gone from here.
DROP TABLE outbox;
CREATE TABLE outbox (
    stream    INTEGER NOT NULL REFERENCES stream (id),
    instant   INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    value     REAL    NOT NULL,
    zone      INTEGER,
    -- pending: to be sent at due_at; consent: until consent returns; configuration: until somebody mends it,
    -- tried again at due_at; dead: JHE will not have it.
    state     TEXT    NOT NULL CHECK (state IN ('pending', 'consent', 'configuration', 'dead')),
    due_at    INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    -- Whether an earlier attempt may have arrived without our learning of it.
    ambiguous INTEGER NOT NULL DEFAULT 0 CHECK (ambiguous IN (0, 1)),
    detail    TEXT,
    PRIMARY KEY (stream, instant, revision)
) STRICT, WITHOUT ROWID;

-- How many rows of a stream are in which state: the pages count nothing.
CREATE TABLE outbox_count (
    stream INTEGER NOT NULL REFERENCES stream (id),
    state  TEXT    NOT NULL,
    rows   INTEGER NOT NULL,
    PRIMARY KEY (stream, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER outbox_in AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_count (stream, state, rows) VALUES (new.stream, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
CREATE TRIGGER outbox_out AFTER DELETE ON outbox BEGIN
    UPDATE outbox_count SET rows = rows - 1 WHERE stream = old.stream AND state = old.state;
END;
CREATE TRIGGER outbox_moved AFTER UPDATE OF state ON outbox WHEN old.state <> new.state BEGIN
    UPDATE outbox_count SET rows = rows - 1 WHERE stream = old.stream AND state = old.state;
    INSERT INTO outbox_count (stream, state, rows) VALUES (new.stream, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

-- Observations that JHE took, by the hour in which it did.
CREATE TABLE delivered (
    hour         INTEGER PRIMARY KEY,
    observations INTEGER NOT NULL
) STRICT;

-- When JHE was last seen to say that a consent stands, and JHE's numbers of the studies that are its own.
ALTER TABLE consent ADD COLUMN confirmed_at INTEGER;
ALTER TABLE study ADD COLUMN jhe_id INTEGER;
CREATE UNIQUE INDEX study_of_jhe ON study (jhe_id) WHERE jhe_id IS NOT NULL;
ALTER TABLE patient ADD COLUMN consents_read_at INTEGER;
