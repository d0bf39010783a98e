-- What a data set needs: time zones of studies, study numbers, one code per measure, and the rows that ceased.

-- IANA name or fixed offset. A patient who is enrolled gets it, until the patient or an operator says otherwise.
ALTER TABLE studies ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
-- The number that the next participant gets. A number is never given twice, also after an erasure.
ALTER TABLE studies ADD COLUMN next_participant INTEGER NOT NULL DEFAULT 1;

-- The participant's number in the study: the only name of a person in a data set.
ALTER TABLE enrolments ADD COLUMN participant TEXT NOT NULL DEFAULT '';
UPDATE enrolments SET participant = printf('P%03d', numbered.position) FROM (
    SELECT study_id, patient_id, row_number() OVER (PARTITION BY study_id ORDER BY enrolled_at, patient_id) AS position
    FROM enrolments
) AS numbered
WHERE numbered.study_id = enrolments.study_id AND numbered.patient_id = enrolments.patient_id;
UPDATE studies SET next_participant = 1 + (SELECT count(*) FROM enrolments WHERE study_id = studies.id);
CREATE UNIQUE INDEX enrolments_by_participant ON enrolments (study_id, participant);

-- When the patient or an operator last set the time zone; NULL while it is a default.
ALTER TABLE patients ADD COLUMN time_zone_set_at INTEGER;
UPDATE patients SET time_zone_set_at = created_at WHERE time_zone <> 'UTC';
-- The local offset, in minutes east of UTC, that the samples of three days carried while the time zone has another one.
-- NULL: the samples agree with the time zone.
ALTER TABLE sync_status ADD COLUMN contradicting_offset INTEGER;

-- SDNN and RMSSD are different measures. Each gets its own code; consents to the common one cover both.
UPDATE codes SET code = 'local:heart_rate_variability_sdnn:1.0', display = 'Heart rate variability (SDNN)'
WHERE code = 'local:heart-rate-variability:1.0';
INSERT INTO codes (system, code, display)
SELECT system, 'local:heart_rate_variability_rmssd:1.0', 'Heart rate variability (RMSSD)' FROM codes
WHERE code = 'local:heart_rate_variability_sdnn:1.0';
CREATE TEMP TABLE split_codes AS
SELECT sdnn.id AS sdnn, rmssd.id AS rmssd FROM codes AS sdnn JOIN codes AS rmssd
WHERE sdnn.code = 'local:heart_rate_variability_sdnn:1.0' AND rmssd.code = 'local:heart_rate_variability_rmssd:1.0';
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
-- Of these few days it is not known which measure was counted.
DELETE FROM hourly_sample_counts WHERE code_id IN (SELECT sdnn FROM split_codes);
UPDATE streams SET code_id = (SELECT rmssd FROM split_codes) WHERE series_type = 'heart_rate_variability_rmssd';
DROP TABLE split_codes;

-- Increments of a data set. A reader who has everything up to commit N asks for what came after it.

-- Later than any commit of a reader who does not know the participant's present state: what a data set holds of a
-- participant can change without a sample, as by a consent. The reader then gets everything of that participant anew.
ALTER TABLE enrolments ADD COLUMN changed_at_commit INTEGER NOT NULL DEFAULT 0;

-- Observations that were deleted, such as a night that its wearer removed. A data set that was taken before has them.
CREATE TABLE removed_observations (
    -- The commit that deleted it.
    commit_number INTEGER NOT NULL,
    patient_id    INTEGER NOT NULL REFERENCES patients (id),
    code_id       INTEGER NOT NULL REFERENCES codes (id),
    series_type   TEXT    NOT NULL,
    -- That of the row in a data set: a sleep has that of its episode.
    identifier    TEXT    NOT NULL,
    PRIMARY KEY (commit_number, identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_observations_by_patient ON removed_observations (patient_id);

-- Participants who left a study, as by an erasure. The study number alone remains.
CREATE TABLE removed_participants (
    study_id          INTEGER NOT NULL REFERENCES studies (id),
    participant       TEXT    NOT NULL,
    changed_at_commit INTEGER NOT NULL,
    PRIMARY KEY (study_id, participant)
) STRICT, WITHOUT ROWID;

-- The next commit's number: the open transaction may have taken the newest one already.
CREATE VIEW next_commit AS SELECT 1 + coalesce(max(number), 0) AS number FROM commits;

CREATE TRIGGER enrolments_insert AFTER INSERT ON enrolments BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit)
    WHERE study_id = new.study_id AND patient_id = new.patient_id;
END;
CREATE TRIGGER enrolments_rename AFTER UPDATE OF participant ON enrolments BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit)
    WHERE study_id = new.study_id AND patient_id = new.patient_id;
    INSERT INTO removed_participants (study_id, participant, changed_at_commit)
    SELECT old.study_id, old.participant, number FROM next_commit WHERE old.participant <> new.participant
    ON CONFLICT DO UPDATE SET changed_at_commit = excluded.changed_at_commit;
END;
CREATE TRIGGER enrolments_delete AFTER DELETE ON enrolments BEGIN
    INSERT INTO removed_participants (study_id, participant, changed_at_commit)
    SELECT old.study_id, old.participant, number FROM next_commit
    WHERE EXISTS (SELECT 1 FROM studies WHERE id = old.study_id)
    ON CONFLICT DO UPDATE SET changed_at_commit = excluded.changed_at_commit;
END;
CREATE TRIGGER study_codes_insert AFTER INSERT ON study_codes BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE study_id = new.study_id;
END;
CREATE TRIGGER study_codes_delete AFTER DELETE ON study_codes BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE study_id = old.study_id;
END;
CREATE TRIGGER consents_insert AFTER INSERT ON consents BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = new.patient_id;
END;
CREATE TRIGGER consents_update AFTER UPDATE OF granted_at, withdrawn_at, covers_from, data_erased_at ON consents
WHEN (old.granted_at, old.withdrawn_at, old.covers_from, old.data_erased_at)
     IS NOT (new.granted_at, new.withdrawn_at, new.covers_from, new.data_erased_at) BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = new.patient_id;
END;
CREATE TRIGGER consents_delete AFTER DELETE ON consents BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = old.patient_id;
END;
CREATE TRIGGER streams_entered_in_error AFTER UPDATE OF entered_in_error ON streams
WHEN old.entered_in_error <> new.entered_in_error BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = new.patient_id;
END;
-- Devices are numbered by their streams.
CREATE TRIGGER streams_delete AFTER DELETE ON streams BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = old.patient_id;
END;
CREATE TRIGGER erasures_insert AFTER INSERT ON erasures BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = new.patient_id;
END;
CREATE TRIGGER study_data_sources_insert AFTER INSERT ON study_data_sources BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE study_id = new.study_id;
END;
CREATE TRIGGER study_data_sources_delete AFTER DELETE ON study_data_sources BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE study_id = old.study_id;
END;
-- Samples without an offset of their own get another local time.
CREATE TRIGGER patients_time_zone AFTER UPDATE OF time_zone ON patients WHEN old.time_zone <> new.time_zone BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit) WHERE patient_id = new.id;
END;
-- The setting hides and shows the data of patients who withdrew.
CREATE TRIGGER settings_insert AFTER INSERT ON settings WHEN new.key = 'data.after_withdrawal' BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit);
END;
CREATE TRIGGER settings_update AFTER UPDATE ON settings
WHEN new.key = 'data.after_withdrawal' AND old.value <> new.value BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit);
END;
CREATE TRIGGER settings_delete AFTER DELETE ON settings WHEN old.key = 'data.after_withdrawal' BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit);
END;
