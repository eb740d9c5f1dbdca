-- An account with its token balance.
SELECT a.account_id, a.user_id, a.state, a.created_at, b.granted, b.used, b.held, b.version
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
WHERE a.account_id = $1::uuid
