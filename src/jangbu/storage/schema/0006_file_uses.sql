-- Which calls read a file: batches that take their requests from it, or whose requests name it. Until they have ended
-- its name stays what it was when they were judged. They stand in the file's own row, whose lock makes them certain for
-- whoever deletes it.
ALTER TABLE jangbu.resources ADD COLUMN uses uuid[] NOT NULL DEFAULT '{}';
CREATE INDEX resources_in_use ON jangbu.resources (account_id, name) WHERE uses <> '{}';
