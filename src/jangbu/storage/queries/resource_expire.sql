-- Forgets resources whose time is up, by the database's clock as the statement began, which an index can follow; what a
-- call still waits for stays, and what one that has not ended reads. So does a cache: for how long it was kept has to be
-- written down first (cache_due.sql).
WITH due AS (
    SELECT r.account_id, r.name
    FROM jangbu.resources AS r
    WHERE r.expires_at <= statement_timestamp() AND (r.call_id IS NULL OR r.settled_at IS NOT NULL)
        AND r.kind <> 'cache'
        AND NOT EXISTS (
            SELECT FROM jangbu.holds AS h
            WHERE h.account_id = r.account_id AND h.id = ANY (r.uses) AND h.state IN ('open', 'unknown')
        )
    ORDER BY r.expires_at
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
