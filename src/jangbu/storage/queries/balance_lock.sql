-- A balance, locked until the transaction ends.
SELECT granted, used, held, version
FROM jangbu.balances
WHERE account_id = $1::uuid AND asset = $2::smallint
FOR NO KEY UPDATE
