-- Entries against the chain that they make: each hash is that of the entry after the one before it, and the balance has
-- the last one. From a checkpoint on, the entry that was the last one there has to have the hash that it had, so that a
-- history that was written anew before it is seen, too.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
entry AS (
    SELECT
        a.account_id,
        x.asset,
        e.seq,
        e.hash,
        jangbu.entry_hash(
            CASE WHEN lag(e.seq) OVER history IS NULL THEN coalesce(v.hash, '') ELSE lag(e.hash) OVER history END,
            a.account_id, x.asset, e.seq, e.kind::text, e.delta, e.balance_after, e.posting, e.reference, e.reason,
            e.created_at
        ) AS made,
        lead(e.seq) OVER history IS NULL AS is_last
    FROM account AS a
    CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS x (asset)
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = a.account_id AND v.asset = x.asset
    CROSS JOIN LATERAL (
        SELECT
            n.seq, n.kind, n.delta, n.balance_after, n.posting, n.reference, n.reason, n.created_at, n.hash
        FROM jangbu.entries AS n
        WHERE n.account_id = a.account_id AND n.asset = x.asset AND n.seq > coalesce(v.seq, 0)
    ) AS e
    WINDOW history AS (PARTITION BY a.account_id, x.asset ORDER BY e.seq)
),
difference AS (
    SELECT account_id, asset, 'hash of entry ' || seq AS what, made AS expected, hash AS found
    FROM entry
    WHERE hash IS DISTINCT FROM made OR hash IS NULL
    UNION ALL
    SELECT v.account_id, v.asset, concat('hash of entry ', v.seq, ', when it was verified'), v.hash, e.hash
    FROM jangbu.verified_balances AS v
    JOIN account AS a ON a.account_id = v.account_id
    LEFT JOIN jangbu.entries AS e ON e.account_id = v.account_id AND e.asset = v.asset AND e.seq = v.seq
    WHERE $2::boolean AND v.seq > 0 AND e.hash IS DISTINCT FROM v.hash
    UNION ALL
    SELECT b.account_id, b.asset, 'latest hash', coalesce(e.hash, v.hash, ''), b.head
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = b.account_id AND v.asset = b.asset
    LEFT JOIN entry AS e ON e.account_id = b.account_id AND e.asset = b.asset AND e.is_last
    WHERE b.head IS DISTINCT FROM coalesce(e.hash, v.hash, '')
)
SELECT
    a.account_id,
    a.user_id,
    CASE d.asset WHEN 1 THEN 'tokens: ' ELSE 'money: ' END || d.what AS what,
    coalesce(encode(d.expected, 'hex'), 'that of a chained entry') AS expected,
    coalesce(encode(d.found, 'hex'), 'none') AS found
FROM difference AS d
JOIN account AS a USING (account_id)
LIMIT $3::integer
