-- How users stand: state, balance, when they were last seen and, where that is asked for, whether a finding is open. Each
-- is looked up by key.
SELECT
    a.account_id, a.state, b.granted, b.used, b.held, b.seen_at,
    $2::boolean AND EXISTS (
        SELECT FROM jangbu.findings AS f WHERE f.account_id = a.account_id AND f.resolved_at IS NULL
    ) AS is_anomalous
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
WHERE a.account_id = ANY ($1::uuid[])
