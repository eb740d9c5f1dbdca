-- Who used most by the recent figures of a window, the first one first, so many at most; $1 says what is asked: calls,
-- total or cost. Users of other projects are among them.
SELECT s.account_id, s.size
FROM (
    SELECT
        r.account_id,
        CASE $1::text
            WHEN 'calls' THEN jangbu.sum(r.calls)
            WHEN 'total' THEN jangbu.sum(r.total)
            ELSE jangbu.sum(r.cost_nano)
        END AS size
    FROM jangbu.usage_recent AS r
    WHERE r.at >= $2::timestamptz AND r.at < $3::timestamptz
    GROUP BY r.account_id
) AS s
WHERE s.size >= $4::bigint
ORDER BY s.size DESC
LIMIT $5::integer
