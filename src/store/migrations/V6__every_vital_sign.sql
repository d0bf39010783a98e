-- Samples that are more than an instant and a value: a night's sleep, a day's steps, a blood pressure.

-- What an observation says beside its value: its interval, its further measures, OW's id of the event. JSON, its keys in
-- one order, so that equal particulars are equal texts; no value where there is nothing more to say.
ALTER TABLE observation ADD COLUMN particulars TEXT;
ALTER TABLE revision ADD COLUMN particulars TEXT;
ALTER TABLE outbox ADD COLUMN particulars TEXT;

-- Under which instant an event of OW's is kept: OW may move its beginning, and it stays the same event.
CREATE TABLE event (
    stream  INTEGER NOT NULL REFERENCES stream (id),
    id      TEXT    NOT NULL,
    instant INTEGER NOT NULL,
    PRIMARY KEY (stream, id)
) STRICT, WITHOUT ROWID;
