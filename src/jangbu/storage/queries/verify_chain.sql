-- Entries against the chain that they make, from the first on: each hash is that of the entry after the one before it,
-- and the balance has the last one.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE project = $1::text
),
entry AS (
    SELECT
        e.account_id,
        e.asset,
        e.seq,
        e.hash,
        jangbu.entry_hash(
            lag(e.hash, 1, ''::bytea) OVER history, e.account_id, e.asset, e.seq, e.kind::text, e.delta,
            e.balance_after, e.posting, e.reference, e.reason, e.created_at
        ) AS made,
        lead(e.seq) OVER history IS NULL AS is_last
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WINDOW history AS (PARTITION BY e.account_id, e.asset ORDER BY e.seq)
),
difference AS (
    SELECT account_id, asset, 'hash of entry ' || seq AS what, made AS expected, hash AS found
    FROM entry
    WHERE hash IS DISTINCT FROM made OR hash IS NULL
    UNION ALL
    SELECT b.account_id, b.asset, 'latest hash', coalesce(e.hash, ''), b.head
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
    LEFT JOIN entry AS e ON e.account_id = b.account_id AND e.asset = b.asset AND e.is_last
    WHERE b.head IS DISTINCT FROM coalesce(e.hash, '')
)
SELECT
    a.account_id,
    a.user_id,
    CASE d.asset WHEN 1 THEN 'tokens: ' ELSE 'money: ' END || d.what AS what,
    coalesce(encode(d.expected, 'hex'), 'that of a chained entry') AS expected,
    coalesce(encode(d.found, 'hex'), 'none') AS found
FROM difference AS d
JOIN account AS a USING (account_id)
LIMIT $2::integer
