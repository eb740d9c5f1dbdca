-- What each of some keys of an account stands for that was used: of a batch's answers, those that are known already.
SELECT key, digest, result_id, created_at
FROM jangbu.idempotency_keys
WHERE account_id = $1::uuid AND key = ANY ($2::text[])
ORDER BY key
