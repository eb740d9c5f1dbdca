-- Every user who is of a higher class than $4 on one of some days of UTC: what is known of them from these days, and
-- how many these are. $2 says what is asked: calls, total or cost.
SELECT k.account_id, sum(k.size)::bigint AS size, count(*)::integer AS days
FROM (
    SELECT u.account_id, u.calls AS size
    FROM unnest($3::date[]) AS d (day)
    CROSS JOIN LATERAL (
        SELECT l.account_id, l.calls
        FROM jangbu.usage_days AS l
        WHERE l.project = $1::text AND l.day = d.day AND l.calls_class > $4::smallint
        OFFSET 0
    ) AS u
    WHERE $2::text = 'calls'
    UNION ALL
    SELECT u.account_id, u.total AS size
    FROM unnest($3::date[]) AS d (day)
    CROSS JOIN LATERAL (
        SELECT l.account_id, l.total
        FROM jangbu.usage_days AS l
        WHERE l.project = $1::text AND l.day = d.day AND l.total_class > $4::smallint
        OFFSET 0
    ) AS u
    WHERE $2::text = 'total'
    UNION ALL
    SELECT u.account_id, u.cost_nano AS size
    FROM unnest($3::date[]) AS d (day)
    CROSS JOIN LATERAL (
        SELECT l.account_id, l.cost_nano
        FROM jangbu.usage_days AS l
        WHERE l.project = $1::text AND l.day = d.day AND l.cost_class > $4::smallint
        OFFSET 0
    ) AS u
    WHERE $2::text = 'cost'
) AS k
GROUP BY k.account_id
