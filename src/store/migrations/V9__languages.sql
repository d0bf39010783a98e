-- The language of the text that the row of the study has.
ALTER TABLE studies ADD COLUMN language TEXT NOT NULL DEFAULT 'en';

-- What a study tells patients before they agree, by language. Patients read the newest version; older ones stay.
CREATE TABLE study_texts (
    study_id     INTEGER NOT NULL REFERENCES studies (id),
    -- BCP 47.
    language     TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    -- The name of the study for patients.
    title        TEXT    NOT NULL,
    organization TEXT    NOT NULL,
    purpose      TEXT    NOT NULL,
    contact      TEXT    NOT NULL,
    written_at   INTEGER NOT NULL,
    PRIMARY KEY (study_id, language, version)
) STRICT, WITHOUT ROWID;
INSERT INTO study_texts (study_id, language, version, title, organization, purpose, contact, written_at)
SELECT id, 'en', 1, name, organization, purpose, contact, created_at FROM studies;

-- A link opens again until a device is connected. NULL: none was connected since the link was used.
ALTER TABLE invitations ADD COLUMN completed_at INTEGER;
-- Links that were used before this opened only once.
UPDATE invitations SET completed_at = used_at WHERE used_at IS NOT NULL;

-- 0: the session came by a link that was used before; it continues connecting or withdraws, and grants nothing.
ALTER TABLE sessions ADD COLUMN may_grant INTEGER NOT NULL DEFAULT 1 CHECK (may_grant IN (0, 1));
