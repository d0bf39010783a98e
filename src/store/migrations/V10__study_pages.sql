-- The hours of a day (UTC) with data of a code: bit 0 is the hour from midnight to one. Pages show adherence from here
-- without counting samples.
CREATE TABLE data_hours (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    -- Days since 1 January 1970.
    day        INTEGER NOT NULL,
    code_id    INTEGER NOT NULL REFERENCES codes (id),
    hours      INTEGER NOT NULL,
    PRIMARY KEY (patient_id, day, code_id)
) STRICT, WITHOUT ROWID;

-- Totals of days cover no hours of their own. A night that is stored already counts for the hour of its beginning.
INSERT INTO data_hours (patient_id, day, code_id, hours)
SELECT patient_id, instant / 86400000000, code_id, sum(DISTINCT 1 << (instant / 3600000000 % 24))
FROM observations JOIN streams ON streams.id = stream_id
WHERE instant >= 0 AND daily_total = 0 GROUP BY 1, 2, 3;

-- The data sets that were taken, so that the next one can be what arrived since.
CREATE TABLE study_downloads (
    id            INTEGER PRIMARY KEY,
    study_id      INTEGER NOT NULL REFERENCES studies (id),
    -- NULL on the command line.
    account_id    INTEGER REFERENCES accounts (id),
    downloaded_at INTEGER NOT NULL,
    -- The commit that it begins after; NULL for everything.
    since_commit  INTEGER,
    -- The last commit in it.
    last_commit   INTEGER NOT NULL
) STRICT;
CREATE INDEX study_downloads_by_study ON study_downloads (study_id, id);

-- 1: the patient asked for a new link. The mail has that text, and its link is for every study of the patient.
ALTER TABLE mails ADD COLUMN new_link INTEGER NOT NULL DEFAULT 0;
