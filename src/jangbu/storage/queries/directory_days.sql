-- How many tokens each of some users used on each day of UTC, from one day to another, for who used any: a range of the
-- rollup by days for each of them, and what is recent.
SELECT f.account_id, f.day, jangbu.sum(f.total) AS total_tokens
FROM (
    SELECT who.account_id, d.day, d.total
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN LATERAL (
        SELECT r.day, r.total
        FROM jangbu.usage_days AS r
        WHERE r.account_id = who.account_id AND r.day >= $2::date AND r.day <= $3::date
        OFFSET 0
    ) AS d
    UNION ALL
    SELECT who.account_id, (n.at AT TIME ZONE 'UTC')::date, n.total
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN LATERAL (
        SELECT r.at, r.total
        FROM jangbu.usage_recent AS r
        WHERE r.account_id = who.account_id
            AND r.at >= $2::date::timestamp AT TIME ZONE 'UTC'
            AND r.at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
        OFFSET 0
    ) AS n
) AS f
GROUP BY f.account_id, f.day
