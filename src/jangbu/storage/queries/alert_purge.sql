-- Forgets alerts of long ago, and what was told last by machines that are gone: it matters to nobody any more. What is
-- told once a month is remembered for longer than one.
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
),
silent AS (
    DELETE FROM jangbu.alert_keys AS k
    WHERE k.project = $1::text AND k.told_at < clock_timestamp() - interval '45 days'
)
SELECT count(*) FROM gone
