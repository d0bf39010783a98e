-- The collection window of a study: the days whose measurements count. A study without one collects without end.

-- Calendar days of the participant, YYYY-MM-DD; the last one is inclusive. NULL: no limit.
ALTER TABLE studies ADD COLUMN collection_from TEXT;
ALTER TABLE studies ADD COLUMN collection_until TEXT;
-- Days after that of connecting the first device; NULL where the study names dates or nothing.
ALTER TABLE studies ADD COLUMN collection_days INTEGER CHECK (collection_days > 0);

-- The last day of this participant, where it differs from the study's.
ALTER TABLE enrolments ADD COLUMN own_collection_until TEXT;
-- The window as instants, in the participant's time zone: computed whenever one of its causes changes. NULL: no limit.
-- Measurements at `collects_until` are outside.
ALTER TABLE enrolments ADD COLUMN collects_from INTEGER;
ALTER TABLE enrolments ADD COLUMN collects_until INTEGER;
-- When the daemon noted that the last read was due and ended the connection where no other study needs it.
ALTER TABLE enrolments ADD COLUMN completed_at INTEGER;

-- When the first device was connected, or the link through which the first sample came; it never changes.
ALTER TABLE patients ADD COLUMN connected_at INTEGER;
UPDATE patients SET connected_at = coalesce(
    (SELECT min(changed_at) FROM connections WHERE patient_id = patients.id AND state <> 'authorizing'),
    (SELECT min(linked_at) FROM links JOIN sync_status USING (patient_id)
     WHERE patient_id = patients.id AND newest_instant IS NOT NULL));

-- Rows of a data set appear and disappear with the window.
CREATE TRIGGER enrolments_collection AFTER UPDATE OF collects_from, collects_until ON enrolments
WHEN (old.collects_from, old.collects_until) IS NOT (new.collects_from, new.collects_until) BEGIN
    UPDATE enrolments SET changed_at_commit = (SELECT number FROM next_commit)
    WHERE study_id = new.study_id AND patient_id = new.patient_id;
END;
