-- What one user used on each of many days between edges, in calls and tokens. A year of hours is too much to add up, so
-- what counts is the days of UTC, one for each of these days, put right by the few hours and quarters between the two
-- midnights: run says from where to where, which day they are added to (bucket), and from which they are taken (the one
-- before it), or the other way round where the sign is negative. Recent figures are counted as they are.
WITH figure AS (
    SELECT width_bucket(d.day, $3::date[]) AS bucket, d.calls, d.total
    FROM jangbu.usage_days AS d
    WHERE d.account_id = $1::uuid AND d.day >= ($3::date[])[1] AND d.day < ($3::date[])[cardinality($3::date[])]
    UNION ALL
    SELECT side.bucket, side.sign * r.calls, side.sign * r.total
    FROM unnest($4::integer[], $5::integer[], $6::timestamptz[], $7::timestamptz[]) AS run (bucket, sign, first, next)
    CROSS JOIN LATERAL (
        SELECT coalesce(jangbu.sum(h.calls), 0) AS calls, coalesce(jangbu.sum(h.total), 0) AS total
        FROM jangbu.usage_hours AS h
        WHERE h.account_id = $1::uuid AND h.at >= run.first AND h.at < run.next
    ) AS r
    CROSS JOIN LATERAL (VALUES (run.bucket, run.sign), (run.bucket - 1, -run.sign)) AS side (bucket, sign)
    UNION ALL
    SELECT side.bucket, side.sign * r.calls, side.sign * r.total
    FROM unnest($8::integer[], $9::integer[], $10::timestamptz[], $11::timestamptz[]) AS run (bucket, sign, first, next)
    CROSS JOIN LATERAL (
        SELECT coalesce(jangbu.sum(q.calls), 0) AS calls, coalesce(jangbu.sum(q.total), 0) AS total
        FROM jangbu.usage_quarters AS q
        WHERE q.account_id = $1::uuid AND q.at >= run.first AND q.at < run.next
    ) AS r
    CROSS JOIN LATERAL (VALUES (run.bucket, run.sign), (run.bucket - 1, -run.sign)) AS side (bucket, sign)
    UNION ALL
    SELECT width_bucket(n.at, $2::timestamptz[]) AS bucket, n.calls, n.total
    FROM jangbu.usage_recent AS n
    WHERE n.account_id = $1::uuid
        AND n.at >= ($2::timestamptz[])[1] AND n.at < ($2::timestamptz[])[cardinality($2::timestamptz[])]
)
SELECT f.bucket, jangbu.sum(f.calls) AS calls, jangbu.sum(f.total) AS total_tokens
FROM figure AS f
WHERE f.bucket BETWEEN 1 AND cardinality($2::timestamptz[]) - 1
GROUP BY f.bucket
HAVING jangbu.sum(f.calls) <> 0
