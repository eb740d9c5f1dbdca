-- Lets an idempotency key of an account stand for a result, once.
INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
SELECT a.account_id, $2::text, $3::bytea, $4::uuid
FROM jangbu.accounts AS a
WHERE a.account_id = $1::uuid
ON CONFLICT DO NOTHING
