-- How far the chains of an account's entries have come: the number and the hash of the last entry of each asset.
SELECT asset, version, head
FROM jangbu.balances
WHERE account_id = $1::uuid
ORDER BY asset
