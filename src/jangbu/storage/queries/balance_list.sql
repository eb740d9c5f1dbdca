-- All balances of an account, by asset.
SELECT asset, granted, used, held, version, updated_at
FROM jangbu.balances
WHERE account_id = $1::uuid
ORDER BY asset
