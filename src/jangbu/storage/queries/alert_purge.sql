-- Forgets alerts of long ago; what became of them is in the receivers by then.
WITH old AS (
    SELECT a.id
    FROM jangbu.alerts AS a
    WHERE a.project = $1::text AND a.created_at < clock_timestamp() - interval '30 days'
    ORDER BY a.created_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jangbu.alerts AS a
    USING old AS o
    WHERE a.id = o.id
    RETURNING a.id
)
SELECT count(*) FROM gone
