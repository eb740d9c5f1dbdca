-- Forgets calls that were refused 400 days ago, as given-back holds are forgotten: what both count is kept for as long.
WITH old AS (
    SELECT r.project, r.at, r.account_id
    FROM jangbu.refused_minutes AS r
    WHERE r.project = $1::text AND r.at < clock_timestamp() - interval '400 days'
    LIMIT $2::integer
),
gone AS (
    DELETE FROM jangbu.refused_minutes AS r
    USING old AS o
    WHERE r.project = o.project AND r.at = o.at AND r.account_id = o.account_id
    RETURNING r.at
)
SELECT count(*) FROM gone
