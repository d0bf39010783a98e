-- Mails to patients: invitations and reminders.

-- The language of the patient's pages and mails, as two letters (ISO 639-1).
ALTER TABLE patients ADD COLUMN language TEXT NOT NULL DEFAULT 'en';

-- When the patient agreed to reminders of this study by mail. NULL: no reminder is sent.
ALTER TABLE enrolments ADD COLUMN reminders_agreed_at INTEGER;

-- A patient who is silent for this many days gets a reminder, and the next one after so many more. NULL: none.
ALTER TABLE studies ADD COLUMN remind_after_days INTEGER CHECK (remind_after_days > 0);
ALTER TABLE studies ADD COLUMN remind_every_days INTEGER NOT NULL DEFAULT 7 CHECK (remind_every_days > 0);

-- The study's own texts of mails. Without one, the mail has the daemon's text.
CREATE TABLE mail_texts (
    study_id INTEGER NOT NULL REFERENCES studies (id),
    kind     TEXT    NOT NULL CHECK (kind IN ('invitation', 'reminder')),
    language TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (study_id, kind, language)
) STRICT, WITHOUT ROWID;

-- Mails to send and sent. Text and link are made when a mail is sent, and stored nowhere.
CREATE TABLE mails (
    id               INTEGER PRIMARY KEY,
    patient_id       INTEGER NOT NULL REFERENCES patients (id),
    study_id         INTEGER NOT NULL REFERENCES studies (id),
    kind             TEXT    NOT NULL CHECK (kind IN ('invitation', 'reminder')),
    -- waiting: sent at due_at; refused: by the mail server, for good; cancelled: before it was sent, as by a withdrawal.
    state            TEXT    NOT NULL CHECK (state IN ('waiting', 'sent', 'refused', 'cancelled')),
    queued_at        INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    -- When the state became final.
    settled_at       INTEGER,
    -- The mail server's last refusal, as it came.
    last_error       TEXT,
    -- The token in the link that ends reminders.
    unsubscribe_hash BLOB UNIQUE
) STRICT;
CREATE INDEX mails_by_patient ON mails (patient_id, id);
CREATE INDEX mails_waiting ON mails (due_at) WHERE state = 'waiting';
