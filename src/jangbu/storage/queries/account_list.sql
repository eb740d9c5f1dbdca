-- Accounts of a project, paged by key so that the last page costs what the first does.
SELECT a.account_id, a.user_id, a.state, a.created_at, b.granted, b.used, b.held, b.version
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
WHERE a.project = $1::text AND a.user_id > $2::text
ORDER BY a.user_id
LIMIT $3::integer
