-- The users who used most by the quarters of an hour of a short time, down to a size, so many at most; $2 says what is
-- asked: calls, total or cost. Of quarters that the window cuts this is more than what was used in it.
WITH sole AS MATERIALIZED (
    SELECT
        NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project < $1::text)
        AND NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project > $1::text) AS is_alone
)
SELECT q.account_id, q.size
FROM (
    SELECT
        r.account_id,
        CASE $2::text
            WHEN 'calls' THEN jangbu.sum(r.calls)
            WHEN 'total' THEN jangbu.sum(r.total)
            ELSE jangbu.sum(r.cost_nano)
        END AS size
    FROM (
        SELECT l.account_id, l.calls, l.total, l.cost_nano
        FROM jangbu.usage_quarters AS l
        WHERE l.at >= $3::timestamptz AND l.at < $4::timestamptz
        UNION ALL
        SELECT n.account_id, n.calls, n.total, n.cost_nano
        FROM jangbu.usage_recent AS n
        WHERE n.at >= $3::timestamptz AND n.at < $4::timestamptz
    ) AS r
    GROUP BY r.account_id
    -- In order before it is known whose they are: of how many that is looked up is then what is asked for. Where there
    -- are no other projects, only the first ones are put in order at all.
    ORDER BY size DESC
    LIMIT CASE WHEN (SELECT o.is_alone FROM sole AS o) THEN $6::integer END
) AS q
JOIN jangbu.accounts AS a ON a.account_id = q.account_id
WHERE a.project = $1::text AND q.size >= $5::bigint
ORDER BY q.size DESC
LIMIT $6::integer
