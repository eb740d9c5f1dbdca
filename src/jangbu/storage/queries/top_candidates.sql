-- Every user who may be among the first: whoever is of a higher class than $6 on one of some days of UTC, or whose
-- recent figures are larger than $7. size is what is known of them, days how many of the days are in it; $2 says what
-- is asked.
WITH known AS (
    SELECT u.account_id, u.calls AS size, 1 AS days
    FROM unnest($3::date[]) AS d (day)
    JOIN jangbu.usage_days AS u ON u.project = $1::text AND u.day = d.day AND u.calls_class > $6::smallint
    WHERE $2::text = 'calls'
    UNION ALL
    SELECT u.account_id, u.total AS size, 1 AS days
    FROM unnest($3::date[]) AS d (day)
    JOIN jangbu.usage_days AS u ON u.project = $1::text AND u.day = d.day AND u.total_class > $6::smallint
    WHERE $2::text = 'total'
    UNION ALL
    SELECT u.account_id, u.cost_nano AS size, 1 AS days
    FROM unnest($3::date[]) AS d (day)
    JOIN jangbu.usage_days AS u ON u.project = $1::text AND u.day = d.day AND u.cost_class > $6::smallint
    WHERE $2::text = 'cost'
    UNION ALL
    SELECT s.account_id, s.size, 0
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
    WHERE s.size > $7::bigint
)
SELECT
    k.account_id,
    sum(k.size)::bigint AS size,
    sum(k.days)::integer AS days,
    bool_or(k.days = 0) AS has_recent
FROM known AS k
JOIN jangbu.accounts AS a ON a.account_id = k.account_id
WHERE a.project = $1::text
GROUP BY k.account_id
