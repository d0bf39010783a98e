-- The hours of a day (UTC) with data of a code: bit 0 is the hour from midnight to one. Pages show adherence from here
-- without counting samples.
CREATE TABLE data_hours (
    patient_id INTEGER NOT NULL REFERENCES patients (id),
    code_id    INTEGER NOT NULL REFERENCES codes (id),
    -- Days since 1 January 1970.
    day        INTEGER NOT NULL,
    hours      INTEGER NOT NULL,
    PRIMARY KEY (patient_id, code_id, day)
) STRICT, WITHOUT ROWID;

-- Values of days cover no hours of their own. Nights and workouts that are stored already count for the hour of their
-- beginning only.
INSERT INTO data_hours (patient_id, code_id, day, hours)
SELECT patient_id, code_id, instant / 86400000000, sum(DISTINCT 1 << (instant / 3600000000 % 24))
FROM observations JOIN streams ON streams.id = stream_id
WHERE instant >= 0 AND daily_total = 0 AND entered_in_error = 0
  AND NOT (series_type = 'oxygen_saturation' AND provider = 'oura'
           OR series_type = 'resting_heart_rate' AND provider IN ('garmin', 'google')
           OR series_type = 'respiratory_rate' AND provider = 'google'
           OR series_type = 'daily_activity')
GROUP BY 1, 2, 3;

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

-- Lists of participants look up the first link of each.
CREATE INDEX links_by_patient ON links (patient_id, linked_at);

-- Lists of participants read all consents of a study: the index has all that they need.
DROP INDEX consents_by_patient;
CREATE INDEX consents_by_patient ON consents (patient_id, code_id, granted_at, withdrawn_at, study_id);
