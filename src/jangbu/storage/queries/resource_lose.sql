-- Notes that the provider has a result no more: its time is up, and it is asked for no more. A batch shows nothing but the
-- file of its results, so it is over with that. Both stay their owner's as long as nobody has seen the result, in case it
-- shows after all. Tells whether something else may still show it, as the file does where the batch alone is gone.
WITH asked AS (
    SELECT r.call_id, r.kind
    FROM jangbu.resources AS r
    WHERE r.account_id = $1::uuid AND r.name = $2::text AND r.call_id IS NOT NULL AND r.settled_at IS NULL
),
lost AS (
    UPDATE jangbu.resources AS r
    SET expires_at = least(r.expires_at, clock_timestamp())
    FROM asked AS a
    WHERE r.account_id = $1::uuid
        AND r.call_id = a.call_id
        AND r.settled_at IS NULL
        AND (r.name = $2::text OR a.kind = 'file')
    RETURNING r.name
)
SELECT EXISTS (
    SELECT
    FROM jangbu.resources AS r
    JOIN asked AS a ON a.call_id = r.call_id
    WHERE r.account_id = $1::uuid
        AND r.settled_at IS NULL
        AND (r.expires_at IS NULL OR r.expires_at > clock_timestamp())
        AND r.name NOT IN (SELECT l.name FROM lost AS l)
) AS may_show
