-- Entries of an account and asset: numbered from 1 to the balance's version without a gap, each running balance the one
-- before it moved by its delta. From a checkpoint on, the entries after it follow those that were verified.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
entry AS (
    SELECT
        a.account_id,
        x.asset,
        e.seq,
        e.balance_after,
        coalesce(lag(e.seq) OVER history, v.seq, 0) + 1 AS next_seq,
        coalesce(lag(e.balance_after) OVER history, v.granted - v.used, 0)::numeric + e.delta AS running
    FROM account AS a
    CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS x (asset)
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = a.account_id AND v.asset = x.asset
    CROSS JOIN LATERAL (
        SELECT n.seq, n.delta, n.balance_after
        FROM jangbu.entries AS n
        WHERE n.account_id = a.account_id AND n.asset = x.asset AND n.seq > coalesce(v.seq, 0)
    ) AS e
    WINDOW history AS (PARTITION BY a.account_id, x.asset ORDER BY e.seq)
),
latest AS (
    SELECT account_id, asset, max(seq) AS seq FROM entry GROUP BY account_id, asset
),
balance AS (
    SELECT
        a.account_id, x.asset, coalesce(b.version, 0) AS version, coalesce(l.seq, v.seq, 0) AS seq
    FROM account AS a
    CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS x (asset)
    LEFT JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = x.asset
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = a.account_id AND v.asset = x.asset
    LEFT JOIN latest AS l ON l.account_id = a.account_id AND l.asset = x.asset
),
difference AS (
    SELECT account_id, asset, 'number of the entry after ' || next_seq - 1 AS what, next_seq AS expected, seq AS found
    FROM entry
    WHERE seq <> next_seq
    UNION ALL
    SELECT account_id, asset, 'running balance of entry ' || seq, running, balance_after
    FROM entry
    WHERE balance_after <> running
    UNION ALL
    SELECT account_id, asset, 'version, by the last entry', seq, version
    FROM balance
    WHERE seq <> version
)
SELECT
    a.account_id,
    a.user_id,
    CASE d.asset WHEN 1 THEN 'tokens: ' ELSE 'money: ' END || d.what AS what,
    d.expected::text AS expected,
    d.found::text AS found
FROM difference AS d
JOIN account AS a USING (account_id)
LIMIT $3::integer
