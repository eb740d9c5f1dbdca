-- What an idempotency key stands for.
SELECT digest, result_id, created_at
FROM jangbu.idempotency_keys
WHERE account_id = $1::uuid AND key = $2::text
