-- How users stand: state, whether a finding is open, balance, and when they were last seen. Each is looked up by key.
SELECT
    a.account_id, a.state, b.granted, b.used, b.held, b.seen_at,
    EXISTS (
        SELECT FROM jangbu.findings AS f WHERE f.account_id = a.account_id AND f.resolved_at IS NULL
    ) AS is_anomalous
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
WHERE a.account_id = ANY ($1::uuid[])
