-- What some idempotency keys stand for at every account of a project that used one, newest first: at so many, or at all
-- where the limit is NULL.
SELECT k.account_id, k.digest, k.result_id, k.created_at
FROM jangbu.idempotency_keys AS k
JOIN jangbu.accounts AS a ON a.account_id = k.account_id
WHERE k.key = ANY ($2::text[]) AND a.project = $1::text
ORDER BY k.result_id DESC
LIMIT $3::integer
