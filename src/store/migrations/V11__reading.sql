-- A token for reading shows names where this is 1, and else study numbers alone.
ALTER TABLE api_tokens ADD COLUMN shows_names INTEGER NOT NULL DEFAULT 0 CHECK (shows_names IN (0, 1));
