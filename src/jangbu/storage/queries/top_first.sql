-- Some users who used much: of each of some days of UTC those of the highest classes. They say how much it takes at
-- least to be among the first; $2 says what is asked: calls, total or cost.
SELECT DISTINCT t.account_id
FROM unnest($3::date[]) AS d (day)
CROSS JOIN LATERAL (
    (
        SELECT u.account_id
        FROM jangbu.usage_days AS u
        WHERE $2::text = 'calls' AND u.project = $1::text AND u.day = d.day
        ORDER BY u.calls_class DESC
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT u.account_id
        FROM jangbu.usage_days AS u
        WHERE $2::text = 'total' AND u.project = $1::text AND u.day = d.day
        ORDER BY u.total_class DESC
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT u.account_id
        FROM jangbu.usage_days AS u
        WHERE $2::text = 'cost' AND u.project = $1::text AND u.day = d.day
        ORDER BY u.cost_class DESC
        LIMIT $4::integer
    )
) AS t
