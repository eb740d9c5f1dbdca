-- Work that an app began through its own client, with a key of its own: no gateway asks the provider for it, because one
-- that knows nothing of the work says so too where only the key is another. Whoever fetches it through the app settles it.
ALTER TABLE jangbu.resources ADD COLUMN begun_by_app boolean NOT NULL DEFAULT false;

CREATE OR REPLACE VIEW jangbu.living_resources AS
SELECT
    r.account_id, r.name, r.kind, r.call_id, r.service, r.model, r.metadata, r.target, r.created_at, r.settled_at,
    a.project, a.user_id, r.key_id, r.size, r.begun_by_app
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.expires_at IS NULL
    OR r.expires_at > clock_timestamp()
    OR (r.call_id IS NOT NULL AND r.settled_at IS NULL);
