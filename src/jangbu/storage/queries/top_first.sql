-- Some users who used much: of each of some days of UTC those of the highest classes, and those whose recent figures
-- are the largest. They say how much it takes at least to be among the first; $2 says what is asked: calls, total or
-- cost.
(
    SELECT t.account_id
    FROM unnest($3::date[]) AS d (day)
    CROSS JOIN LATERAL (
        (
            SELECT u.account_id
            FROM jangbu.usage_days AS u
            WHERE $2::text = 'calls' AND u.project = $1::text AND u.day = d.day
            ORDER BY u.calls_class DESC
            LIMIT $6::integer
        )
        UNION ALL
        (
            SELECT u.account_id
            FROM jangbu.usage_days AS u
            WHERE $2::text = 'total' AND u.project = $1::text AND u.day = d.day
            ORDER BY u.total_class DESC
            LIMIT $6::integer
        )
        UNION ALL
        (
            SELECT u.account_id
            FROM jangbu.usage_days AS u
            WHERE $2::text = 'cost' AND u.project = $1::text AND u.day = d.day
            ORDER BY u.cost_class DESC
            LIMIT $6::integer
        )
    ) AS t
)
UNION
(
    SELECT s.account_id
    FROM (
        SELECT
            r.account_id,
            CASE $2::text
                WHEN 'calls' THEN jangbu.sum(r.calls)
                WHEN 'total' THEN jangbu.sum(r.total)
                ELSE jangbu.sum(r.cost_nano)
            END AS size
        FROM jangbu.usage_recent AS r
        WHERE r.at >= $4::timestamptz AND r.at < $5::timestamptz
        GROUP BY r.account_id
    ) AS s
    JOIN jangbu.accounts AS a ON a.account_id = s.account_id
    WHERE a.project = $1::text
    ORDER BY s.size DESC
    LIMIT $6::integer
)
