-- Forgets events of long ago, and refused calls that the app knows of and that were not followed by others.
WITH old AS (
    SELECT e.id
    FROM jangbu.webhook_events AS e
    WHERE e.project = $1::text AND e.created_at < clock_timestamp() - interval '30 days'
    ORDER BY e.created_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jangbu.webhook_events AS e
    USING old AS o
    WHERE e.id = o.id
    RETURNING e.id
),
told AS (
    SELECT r.account_id
    FROM jangbu.refused_calls AS r
    WHERE r.project = $1::text AND r.told_at < clock_timestamp() - interval '1 hour' AND r.calls = 0
    ORDER BY r.told_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
forgotten AS (
    DELETE FROM jangbu.refused_calls AS r
    USING told AS t
    WHERE r.account_id = t.account_id
    RETURNING r.account_id
)
SELECT greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM forgotten))
