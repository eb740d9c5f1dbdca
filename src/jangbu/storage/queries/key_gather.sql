-- What one idempotency key stands for at each of many accounts; no row comes back where it was not used there. Each is
-- asked for alone: a planner who does not know that a key can be everybody's would read everybody's for one account.
SELECT n.account_id, f.digest, f.result_id, f.created_at
FROM unnest($1::uuid[]) AS n (account_id)
CROSS JOIN LATERAL (
    SELECT k.digest, k.result_id, k.created_at
    FROM jangbu.idempotency_keys AS k
    WHERE k.account_id = n.account_id AND k.key = $2::text
    LIMIT 1
) AS f
