-- Balances against what they sum: tokens used are the totals of the records, used and granted are the entries' sums.
-- That the last running balance is granted - used follows from this and from the chain of entries.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE project = $1::text
),
entered AS (
    SELECT
        e.account_id,
        e.asset,
        -coalesce(sum(e.delta) FILTER (WHERE e.kind IN ('usage', 'overrun')), 0) AS used,
        coalesce(sum(e.delta) FILTER (WHERE e.kind NOT IN ('usage', 'overrun')), 0) AS granted
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    GROUP BY e.account_id, e.asset
),
recorded AS (
    SELECT u.account_id, 1::smallint AS asset, sum(u.total) AS used
    FROM jangbu.usage_and_sealed AS u
    JOIN account AS a ON a.account_id = u.account_id
    GROUP BY u.account_id
),
balance AS (
    SELECT b.account_id, b.asset, b.granted, b.used
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
)
SELECT a.account_id, a.user_id, c.what, c.expected::text AS expected, c.found::text AS found
FROM balance AS b
FULL JOIN entered AS e USING (account_id, asset)
FULL JOIN recorded AS r USING (account_id, asset)
JOIN account AS a USING (account_id)
CROSS JOIN LATERAL (SELECT CASE asset WHEN 1 THEN 'tokens ' ELSE 'money ' END AS unit) AS n
CROSS JOIN LATERAL (
    VALUES
        (n.unit || 'used, by the records', coalesce(r.used, 0), CASE asset WHEN 1 THEN coalesce(b.used, 0) END),
        (n.unit || 'used, by the entries', coalesce(e.used, 0), coalesce(b.used, 0)),
        (n.unit || 'granted, by the entries', coalesce(e.granted, 0), coalesce(b.granted, 0))
) AS c (what, expected, found)
WHERE c.expected <> c.found
LIMIT $2::integer
