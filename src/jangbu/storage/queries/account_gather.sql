-- Those of many accounts that there are, each with its token balance: a file of users is looked up in a few statements.
SELECT a.account_id, a.user_id, a.state, a.created_at, b.granted, b.used, b.held, b.version
FROM unnest($1::uuid[]) AS n (account_id)
JOIN jangbu.accounts AS a ON a.account_id = n.account_id
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
