-- Raw mode: the payloads in the bucket that are known, what a provider says of the circumstances of a sample, and
-- which of two observations of one sample goes to JHE.

-- One object of a patient's in the bucket. Its key is the prefix of the settings, its day, the OW user, its name.
CREATE TABLE object (
    link     INTEGER NOT NULL REFERENCES link (id),
    -- Days since 1970-01-01 of the date in its key: that of storing.
    day      INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    etag     TEXT    NOT NULL,
    -- read: every sample of it was committed; other: of an endpoint that is not ingested; failed: tried again by
    -- each tick; lost: failed, and gone from the bucket.
    state    TEXT    NOT NULL CHECK (state IN ('read', 'other', 'failed', 'lost')),
    -- The provider's endpoint that it is of, where that is known.
    endpoint TEXT,
    -- When the state was noted, and why it failed.
    noted_at INTEGER NOT NULL,
    error    TEXT,
    PRIMARY KEY (link, day, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_in_error ON object (link, day, name) WHERE state IN ('failed', 'lost');

-- How many objects of a link are in which state: the pages count nothing.
CREATE TABLE object_count (
    link  INTEGER NOT NULL REFERENCES link (id),
    state TEXT    NOT NULL,
    rows  INTEGER NOT NULL,
    PRIMARY KEY (link, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER object_in AFTER INSERT ON object BEGIN
    INSERT INTO object_count (link, state, rows) VALUES (new.link, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;
CREATE TRIGGER object_out AFTER DELETE ON object BEGIN
    UPDATE object_count SET rows = rows - 1 WHERE link = old.link AND state = old.state;
END;
CREATE TRIGGER object_moved AFTER UPDATE OF state ON object WHEN old.state <> new.state BEGIN
    UPDATE object_count SET rows = rows - 1 WHERE link = old.link AND state = old.state;
    INSERT INTO object_count (link, state, rows) VALUES (new.link, new.state, 1)
    ON CONFLICT DO UPDATE SET rows = rows + 1;
END;

-- What the wearer did, in the provider's word, as a number of the program's: 1 awake, 2 rest, 3 sleep, 4 workout,
-- 5 live, 6 session, 7 another word.
ALTER TABLE observation ADD COLUMN context INTEGER;

-- Observations that are not for JHE, since the other system's of the same instant is, or may be.
CREATE TABLE left_out (
    stream  INTEGER NOT NULL REFERENCES stream (id),
    instant INTEGER NOT NULL,
    PRIMARY KEY (stream, instant)
) STRICT, WITHOUT ROWID;

-- The system that the outbox was last put right for; no row before that.
CREATE TABLE exported_system (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    system TEXT NOT NULL
) STRICT;
