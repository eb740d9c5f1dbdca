-- Forgets resources whose time is up, by the database's clock as the statement began, which an index can follow; what a
-- call still waits for stays.
WITH due AS (
    SELECT account_id, name
    FROM jangbu.resources
    WHERE expires_at <= statement_timestamp() AND (call_id IS NULL OR settled_at IS NOT NULL)
    ORDER BY expires_at
    LIMIT $1::integer
),
gone AS (
    DELETE FROM jangbu.resources AS r
    USING due AS d
    WHERE r.account_id = d.account_id AND r.name = d.name
        AND r.expires_at <= statement_timestamp() AND (r.call_id IS NULL OR r.settled_at IS NOT NULL)
    RETURNING r.name
)
SELECT count(*) FROM gone
