-- Locks every balance of some accounts until the transaction ends, in the order in which all statements do.
SELECT b.account_id
FROM jangbu.balances AS b
WHERE b.account_id = ANY ($1::uuid[])
ORDER BY b.account_id, b.asset
FOR NO KEY UPDATE
