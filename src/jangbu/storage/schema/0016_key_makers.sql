-- The key that made a key, NULL for those that were made by hand. A key that is revoked takes those with it that it made,
-- and what they use counts under its limits, too.
ALTER TABLE jangbu.api_keys ADD COLUMN made_by uuid;
CREATE INDEX api_keys_by_maker ON jangbu.api_keys (made_by) WHERE made_by IS NOT NULL;
