-- Writes down whose the file of an upload is, and with the upload that it was, once: whoever asks again how it ended,
-- also at this moment, waits for its row and changes nothing. By then the file may be deleted, and its name, which users
-- may choose, somebody else's. Nothing changes either where another account of the project has a resource of the name.
WITH upload AS (
    UPDATE jangbu.resources AS u
    SET metadata = coalesce(u.metadata, '{}') || '{"claimed": true}',
        size = NULL,
        expires_at = clock_timestamp() + $5::integer * interval '1 second'
    WHERE u.account_id = $1::uuid AND u.name = $3::text AND u.kind = 'upload'
        AND NOT coalesce(u.metadata ? 'claimed', false)
        AND NOT EXISTS (
            SELECT FROM jangbu.living_resources AS o
            WHERE o.name = $4::text AND o.account_id <> $1::uuid AND o.project = $2::text
        )
    RETURNING u.account_id
)
INSERT INTO jangbu.resources AS r (account_id, name, kind, metadata, expires_at, size)
SELECT
    u.account_id, $4::text, 'file', $6::text::jsonb, clock_timestamp() + $5::integer * interval '1 second', $7::bigint
FROM upload AS u
ON CONFLICT (account_id, name) DO UPDATE
SET kind = excluded.kind,
    metadata = CASE WHEN r.call_id IS NULL THEN excluded.metadata ELSE r.metadata END,
    target = NULL,
    created_at = CASE WHEN r.expires_at <= clock_timestamp() THEN excluded.created_at ELSE r.created_at END,
    expires_at = excluded.expires_at,
    size = excluded.size
RETURNING r.name
