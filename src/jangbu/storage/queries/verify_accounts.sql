-- Every account has a token balance, and no balance is without its account: what hangs in the air is in no other check.
SELECT
    coalesce(a.account_id, b.account_id) AS account_id,
    coalesce(a.user_id, '') AS user_id,
    CASE WHEN a.account_id IS NULL THEN 'account of a balance' ELSE 'token balance of an account' END AS what,
    '1' AS expected,
    '0' AS found
FROM jangbu.accounts AS a
FULL JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
WHERE (b.account_id IS NULL AND a.project = $1::text) OR (a.account_id IS NULL AND b.asset = 1)
LIMIT $2::integer
