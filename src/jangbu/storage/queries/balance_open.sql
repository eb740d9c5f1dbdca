-- Gives an account a balance of another asset, once.
INSERT INTO jangbu.balances (account_id, asset)
SELECT a.account_id, $2::smallint FROM jangbu.accounts AS a WHERE a.account_id = $1::uuid
ON CONFLICT DO NOTHING
