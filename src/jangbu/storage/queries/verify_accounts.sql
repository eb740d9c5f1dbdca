-- Every account has a token balance, and no balance is without its account: what hangs in the air is in no other check.
-- A range of ids, of all projects: what has no account belongs to none.
SELECT
    coalesce(a.account_id, b.account_id) AS account_id,
    coalesce(a.user_id, '') AS user_id,
    CASE WHEN a.account_id IS NULL THEN 'account of a balance' ELSE 'token balance of an account' END AS what,
    '1' AS expected,
    '0' AS found
FROM (
    SELECT account_id, user_id, project FROM jangbu.accounts WHERE account_id > $2::uuid AND account_id <= $3::uuid
) AS a
FULL JOIN (
    SELECT account_id FROM jangbu.balances WHERE asset = 1 AND account_id > $2::uuid AND account_id <= $3::uuid
) AS b ON b.account_id = a.account_id
WHERE (b.account_id IS NULL AND a.project = $1::text) OR a.account_id IS NULL
LIMIT $4::integer
