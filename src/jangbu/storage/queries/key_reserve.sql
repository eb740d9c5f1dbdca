-- Lets an idempotency key stand for a result, once, in the transaction of what is done under it; a row comes back where
-- the key is new. The owner is an account or the project: whether an account exists is found by what is done.
INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
VALUES ($1::uuid, $2::text, $3::bytea, $4::uuid)
ON CONFLICT DO NOTHING
RETURNING result_id
