-- Balances against what they sum: used and granted are the sums of the entries, tokens used are those of the records.
-- From a checkpoint on, the entries after it are added to the sums that were verified, and the totals stand for the
-- records. That the last running balance is granted - used follows from this and from the numbering of entries.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
entered AS (
    SELECT
        a.account_id,
        x.asset,
        coalesce(v.used, 0) + e.used AS used,
        coalesce(v.granted, 0) + e.granted AS granted
    FROM account AS a
    CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS x (asset)
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = a.account_id AND v.asset = x.asset
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(-n.delta) FILTER (WHERE n.kind IN ('usage', 'overrun')), 0) AS used,
            coalesce(sum(n.delta) FILTER (WHERE n.kind NOT IN ('usage', 'overrun')), 0) AS granted
        FROM jangbu.entries AS n
        WHERE n.account_id = a.account_id AND n.asset = x.asset AND n.seq > coalesce(v.seq, 0)
    ) AS e
),
recorded AS (
    SELECT a.account_id, 1::smallint AS asset, r.used
    FROM account AS a
    CROSS JOIN LATERAL (
        SELECT sum(t.total) AS used
        FROM (
            SELECT u.total FROM jangbu.usage_and_sealed AS u WHERE NOT $2::boolean AND u.account_id = a.account_id
            UNION ALL
            SELECT r.total FROM jangbu.usage_lifetime AS r WHERE $2::boolean AND r.account_id = a.account_id
            UNION ALL
            SELECT n.total FROM jangbu.usage_recent AS n WHERE $2::boolean AND n.account_id = a.account_id
        ) AS t
    ) AS r
),
balance AS (
    SELECT b.account_id, b.asset, b.granted, b.used
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
)
SELECT a.account_id, a.user_id, c.what, c.expected::text AS expected, c.found::text AS found
FROM entered AS e
LEFT JOIN balance AS b USING (account_id, asset)
LEFT JOIN recorded AS r USING (account_id, asset)
JOIN account AS a USING (account_id)
CROSS JOIN LATERAL (SELECT CASE asset WHEN 1 THEN 'tokens ' ELSE 'money ' END AS unit) AS n
CROSS JOIN LATERAL (
    VALUES
        (
            concat(n.unit, 'used, by the ', CASE WHEN $2::boolean THEN 'totals' ELSE 'records' END),
            coalesce(r.used, 0),
            CASE asset WHEN 1 THEN coalesce(b.used, 0) END
        ),
        (n.unit || 'used, by the entries', e.used, coalesce(b.used, 0)),
        (n.unit || 'granted, by the entries', e.granted, coalesce(b.granted, 0))
) AS c (what, expected, found)
WHERE c.expected <> c.found
LIMIT $3::integer
