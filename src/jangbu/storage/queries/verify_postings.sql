-- Debits against the records they sum, by posting and kind, tokens and money.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE project = $1::text
),
entered AS (
    SELECT e.account_id, e.asset, e.posting, e.kind, -sum(e.delta) AS amount
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WHERE e.kind IN ('usage', 'overrun')
    GROUP BY e.account_id, e.asset, e.posting, e.kind
),
recorded AS (
    SELECT p.account_id, p.asset, p.posting, p.kind, sum(p.amount) AS amount
    FROM jangbu.postings_and_sealed AS p
    JOIN account AS a ON a.account_id = p.account_id
    GROUP BY p.account_id, p.asset, p.posting, p.kind
)
SELECT
    a.account_id,
    a.user_id,
    concat(CASE asset WHEN 1 THEN 'tokens' ELSE 'money' END, ' of posting ', posting, ', ', kind) AS what,
    coalesce(r.amount, 0)::text AS expected,
    coalesce(e.amount, 0)::text AS found
FROM entered AS e
FULL JOIN recorded AS r USING (account_id, asset, posting, kind)
JOIN account AS a USING (account_id)
WHERE coalesce(r.amount, 0) <> coalesce(e.amount, 0)
LIMIT $2::integer
