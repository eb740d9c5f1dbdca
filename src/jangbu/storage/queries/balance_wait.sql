-- Waits in line for the locks of an account's balances, and lets go of them.
SELECT b.asset
FROM jangbu.balances AS b
WHERE b.account_id = $1::uuid
ORDER BY b.asset
FOR NO KEY UPDATE
