-- Notes that a call reads files that an account has now, and gives what was written down of their contents. Rows are
-- locked in the order of their names; one that is being deleted at this moment is waited for, and is not there then.
WITH kept AS (
    SELECT r.name
    FROM jangbu.resources AS r
    WHERE r.account_id = $1::uuid AND r.name = ANY ($2::text[])
        AND (
            r.expires_at IS NULL
            OR r.expires_at > clock_timestamp()
            OR (r.call_id IS NOT NULL AND r.settled_at IS NULL)
        )
    ORDER BY r.name
    FOR NO KEY UPDATE
)
UPDATE jangbu.resources AS r
SET uses = array_append(array_remove(r.uses, $3::uuid), $3::uuid)
FROM kept AS k
WHERE r.account_id = $1::uuid AND r.name = ANY ($2::text[]) AND r.name = k.name
RETURNING r.name, CASE WHEN r.call_id IS NULL THEN r.metadata END AS metadata
