-- What a data set needs: time zones of studies, study numbers, one code per measure, and the rows that ceased.

-- IANA name or fixed offset. A patient who is enrolled gets it, until the patient or an operator says otherwise.
ALTER TABLE studies ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
-- The number that the next participant gets. A number is never given twice, also after an erasure.
ALTER TABLE studies ADD COLUMN next_participant INTEGER NOT NULL DEFAULT 1;

-- The participant's number in the study: the only name of a person in a data set.
ALTER TABLE enrolments ADD COLUMN participant TEXT NOT NULL DEFAULT '';
UPDATE enrolments SET participant = printf('%03d', numbered.position) FROM (
    SELECT study_id, patient_id, row_number() OVER (PARTITION BY study_id ORDER BY enrolled_at, patient_id) AS position
    FROM enrolments
) AS numbered
WHERE numbered.study_id = enrolments.study_id AND numbered.patient_id = enrolments.patient_id;
UPDATE studies SET next_participant = 1 + (SELECT count(*) FROM enrolments WHERE study_id = studies.id);
CREATE UNIQUE INDEX enrolments_by_participant ON enrolments (study_id, participant);

-- When the patient or an operator last set the time zone; NULL while it is a default.
ALTER TABLE patients ADD COLUMN time_zone_set_at INTEGER;
UPDATE patients SET time_zone_set_at = created_at WHERE time_zone <> 'UTC';
-- The local offset in minutes east of UTC that the patient's samples carried on the last three days with any, where the
-- time zone has another; NULL where they agree.
ALTER TABLE sync_status ADD COLUMN contradicting_offset INTEGER;

-- SDNN and RMSSD are different measures. Each gets its own code; consents to the common one cover both.
UPDATE codes SET code = 'local:heart-rate-variability-sdnn:1.0', display = 'Heart rate variability (SDNN)'
WHERE code = 'local:heart-rate-variability:1.0';
INSERT INTO codes (system, code, display)
SELECT system, 'local:heart-rate-variability-rmssd:1.0', 'Heart rate variability (RMSSD)' FROM codes
WHERE code = 'local:heart-rate-variability-sdnn:1.0';
CREATE TEMP TABLE split_codes AS
SELECT sdnn.id AS sdnn, rmssd.id AS rmssd FROM codes AS sdnn JOIN codes AS rmssd
WHERE sdnn.code = 'local:heart-rate-variability-sdnn:1.0' AND rmssd.code = 'local:heart-rate-variability-rmssd:1.0';
INSERT INTO data_source_codes (data_source_id, code_id)
SELECT data_source_id, rmssd FROM data_source_codes JOIN split_codes ON code_id = sdnn;
INSERT INTO study_codes (study_id, code_id)
SELECT study_id, rmssd FROM study_codes JOIN split_codes ON code_id = sdnn;
INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at, text_hash, jhe_confirmed_at,
                      withdrawal_seen_at, data_erased_at, suspended, covers_from)
SELECT patient_id, rmssd, study_id, granted_at, withdrawn_at, text_hash, jhe_confirmed_at, withdrawal_seen_at,
       data_erased_at, suspended, covers_from
FROM consents JOIN split_codes ON code_id = sdnn ORDER BY id;
INSERT INTO pending_consents (patient_id, study_id, code_id, text_hash, submitted_at)
SELECT patient_id, study_id, rmssd, text_hash, submitted_at FROM pending_consents JOIN split_codes ON code_id = sdnn;
UPDATE streams SET code_id = (SELECT rmssd FROM split_codes) WHERE series_type = 'heart_rate_variability_rmssd';
DROP TABLE split_codes;

-- Observations that ceased under their identifier: a deleted night, a stream that got another name. A data set that was
-- taken before has them.
CREATE TABLE removed_observations (
    -- The commit that removed it.
    commit_number INTEGER NOT NULL,
    patient_id    INTEGER NOT NULL,
    series_type   TEXT    NOT NULL,
    identifier    TEXT    NOT NULL,
    PRIMARY KEY (commit_number, identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_observations_by_patient ON removed_observations (patient_id);

-- Participants whose data were erased. A study number alone remains.
CREATE TABLE removed_participants (
    study_id      INTEGER NOT NULL REFERENCES studies (id),
    participant   TEXT    NOT NULL,
    commit_number INTEGER NOT NULL,
    PRIMARY KEY (study_id, participant)
) STRICT, WITHOUT ROWID;
