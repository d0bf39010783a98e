-- The audit as a chain of hashes.

-- SHA-256 over the hash of the entry before and this one's own content. None in what is older than the chain: the
-- first new entry's is over all of that.
ALTER TABLE audit ADD COLUMN hash BLOB CHECK (length(hash) = 32);

-- The newest entry, apart from the entries, so that one that is cut off at the end is missed; and the oldest one with a
-- hash. No row before the first.
CREATE TABLE audit_head (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    hash  BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
