-- Debits against the records they sum, by posting and kind, tokens and money. From a checkpoint on only its later
-- entries and the records since then are compared; what seems to differ is looked at again in the whole account,
-- because a record may come long after its call. What is read of an account is summed apart, here as in the other
-- checks, so that every plan finds it by its key and none reads the records of all.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
started AS (
    SELECT a.account_id, x.asset, coalesce(v.seq, 0) AS seq
    FROM account AS a
    CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS x (asset)
    LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = a.account_id AND v.asset = x.asset
),
entered AS (
    SELECT s.account_id, s.asset, e.posting, e.kind, -sum(e.delta) AS amount
    FROM started AS s
    CROSS JOIN LATERAL (
        SELECT n.posting, n.kind, n.delta
        FROM jangbu.entries AS n
        WHERE n.account_id = s.account_id AND n.asset = s.asset AND n.seq > s.seq AND n.kind IN ('usage', 'overrun')
    ) AS e
    GROUP BY s.account_id, s.asset, e.posting, e.kind
),
recorded AS (
    SELECT s.account_id, s.asset, r.posting, r.kind, r.amount
    FROM account AS a
    CROSS JOIN LATERAL (
        SELECT p.asset, p.posting, p.kind, sum(p.amount) AS amount
        FROM jangbu.postings_and_sealed AS p
        WHERE p.account_id = a.account_id AND p.id >= $3::uuid
        GROUP BY p.asset, p.posting, p.kind
    ) AS r
    JOIN started AS s ON s.account_id = a.account_id AND s.asset = r.asset
    WHERE r.posting >= s.seq
),
suspect AS (
    SELECT account_id, asset, posting, kind
    FROM entered AS e
    FULL JOIN recorded AS r USING (account_id, asset, posting, kind)
    WHERE coalesce(r.amount, 0) <> coalesce(e.amount, 0)
),
difference AS (
    SELECT d.account_id, d.asset, d.posting, d.kind, r.amount AS recorded, e.amount AS entered
    FROM suspect AS d
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.amount), 0) AS amount
        FROM jangbu.postings_and_sealed AS p
        WHERE p.account_id = d.account_id AND p.asset = d.asset AND p.posting = d.posting AND p.kind = d.kind
    ) AS r
    CROSS JOIN LATERAL (
        SELECT coalesce(-sum(n.delta), 0) AS amount
        FROM jangbu.entries AS n
        WHERE n.account_id = d.account_id AND n.asset = d.asset AND n.posting IS NOT DISTINCT FROM d.posting
            AND n.kind = d.kind
    ) AS e
)
SELECT
    a.account_id,
    a.user_id,
    concat(CASE d.asset WHEN 1 THEN 'tokens' ELSE 'money' END, ' of posting ', d.posting, ', ', d.kind) AS what,
    d.recorded::text AS expected,
    d.entered::text AS found
FROM difference AS d
JOIN account AS a USING (account_id)
WHERE d.recorded <> d.entered
LIMIT $4::integer
