-- Grants against the entries that made them and let them expire. How far they are burnt down may lag behind the
-- balance; that each burnt and lost no more than its amount, and all no more than was ever taken, may not.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
given AS (
    SELECT
        g.account_id, g.asset, sum(g.amount) AS amount, sum(g.expired) AS expired, sum(g.consumed) AS consumed
    FROM jangbu.grants AS g
    JOIN account AS a ON a.account_id = g.account_id
    GROUP BY g.account_id, g.asset
),
entered AS (
    SELECT
        e.account_id,
        e.asset,
        coalesce(sum(e.delta) FILTER (WHERE e.kind = 'grant'), 0) AS amount,
        -coalesce(sum(e.delta) FILTER (WHERE e.kind = 'expiry'), 0) AS expired,
        -coalesce(sum(e.delta) FILTER (WHERE e.kind <> 'expiry' AND e.delta < 0), 0) AS taken
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WHERE e.kind NOT IN ('usage', 'overrun')
    GROUP BY e.account_id, e.asset
),
difference AS (
    SELECT account_id, asset, c.what, c.expected, c.found
    FROM given AS g
    FULL JOIN entered AS e USING (account_id, asset)
    CROSS JOIN LATERAL (
        VALUES
            ('granted, by the entries', coalesce(e.amount, 0), coalesce(g.amount, 0)),
            ('expired, by the entries', coalesce(e.expired, 0), coalesce(g.expired, 0))
    ) AS c (what, expected, found)
    WHERE c.expected <> c.found
    UNION ALL
    SELECT g.account_id, g.asset, 'burnt, by what was taken', b.used + coalesce(e.taken, 0), g.consumed
    FROM given AS g
    JOIN jangbu.balances AS b USING (account_id, asset)
    LEFT JOIN entered AS e USING (account_id, asset)
    WHERE g.consumed > b.used + coalesce(e.taken, 0)
    UNION ALL
    SELECT g.account_id, g.asset, 'burnt and lost of grant ' || g.id, g.amount, g.consumed::numeric + g.expired
    FROM jangbu.grants AS g
    JOIN account AS a ON a.account_id = g.account_id
    WHERE g.consumed::numeric + g.expired > g.amount
)
SELECT
    a.account_id,
    a.user_id,
    CASE d.asset WHEN 1 THEN 'tokens ' ELSE 'money ' END || d.what AS what,
    d.expected::text AS expected,
    d.found::text AS found
FROM difference AS d
JOIN account AS a USING (account_id)
LIMIT $2::integer
