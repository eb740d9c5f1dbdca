-- Entries of an account and asset: numbered from 1 to the balance's version without a gap, each running balance the one
-- before it moved by its delta.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE project = $1::text
),
entry AS (
    SELECT
        e.account_id,
        e.asset,
        e.seq,
        e.balance_after,
        coalesce(lag(e.seq) OVER history, 0) + 1 AS next_seq,
        coalesce(lag(e.balance_after) OVER history, 0)::numeric + e.delta AS running
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WINDOW history AS (PARTITION BY e.account_id, e.asset ORDER BY e.seq)
),
latest AS (
    SELECT account_id, asset, max(seq) AS seq FROM entry GROUP BY account_id, asset
),
balance AS (
    SELECT b.account_id, b.asset, b.version
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
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
    SELECT account_id, asset, 'version, by the last entry', coalesce(l.seq, 0), coalesce(b.version, 0)
    FROM balance AS b
    FULL JOIN latest AS l USING (account_id, asset)
    WHERE coalesce(l.seq, 0) <> coalesce(b.version, 0)
)
SELECT
    a.account_id,
    a.user_id,
    CASE d.asset WHEN 1 THEN 'tokens: ' ELSE 'money: ' END || d.what AS what,
    d.expected::text AS expected,
    d.found::text AS found
FROM difference AS d
JOIN account AS a USING (account_id)
LIMIT $2::integer
