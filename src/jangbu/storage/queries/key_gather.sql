-- What one idempotency key stands for at each of many accounts; no row comes back where it was not used there.
SELECT k.account_id, k.digest, k.result_id, k.created_at
FROM unnest($1::uuid[]) AS n (account_id)
JOIN jangbu.idempotency_keys AS k ON k.account_id = n.account_id AND k.key = $2::text
