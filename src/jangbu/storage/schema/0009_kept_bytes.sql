-- How many bytes of the provider's room a file takes that a user uploaded, or an upload under way. NULL for what takes
-- none, or is not the user's doing: the files that the provider makes, caches, and uploads that have ended.
ALTER TABLE jangbu.resources ADD COLUMN size bigint CHECK (size >= 0);

CREATE OR REPLACE VIEW jangbu.living_resources AS
SELECT
    r.account_id, r.name, r.kind, r.call_id, r.service, r.model, r.metadata, r.target, r.created_at, r.settled_at,
    a.project, a.user_id, r.key_id, r.size
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.expires_at IS NULL
    OR r.expires_at > clock_timestamp()
    OR (r.call_id IS NOT NULL AND r.settled_at IS NULL);
