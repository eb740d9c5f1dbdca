-- What balances hold against the holds that are open or of unknown outcome; only tokens are held.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
held AS (
    SELECT h.account_id, 1::smallint AS asset, sum(h.amount) AS amount
    FROM jangbu.holds AS h
    JOIN account AS a ON a.account_id = h.account_id
    WHERE h.state IN ('open', 'unknown')
    GROUP BY h.account_id
),
balance AS (
    SELECT b.account_id, b.asset, b.held
    FROM jangbu.balances AS b
    JOIN account AS a ON a.account_id = b.account_id
)
SELECT
    a.account_id,
    a.user_id,
    CASE asset WHEN 1 THEN 'tokens held' ELSE 'money held' END AS what,
    coalesce(h.amount, 0)::text AS expected,
    coalesce(b.held, 0)::text AS found
FROM balance AS b
FULL JOIN held AS h USING (account_id, asset)
JOIN account AS a USING (account_id)
WHERE coalesce(h.amount, 0) <> coalesce(b.held, 0) OR b.held < 0
LIMIT $2::integer
