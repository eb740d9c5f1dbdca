-- What some idempotency keys stand for at every account of a project that used one, newest first: at so many, or at all
-- where the limit is NULL. The keys are looked for first, and then whose they are, whatever is thought to be the size of
-- a project.
SELECT k.account_id, k.digest, k.result_id, k.created_at
FROM jangbu.idempotency_keys AS k
CROSS JOIN LATERAL (
    SELECT FROM jangbu.accounts AS a WHERE a.account_id = k.account_id AND a.project = $1::text LIMIT 1
) AS of_project
WHERE k.key = ANY ($2::text[])
ORDER BY k.result_id DESC, k.account_id DESC
LIMIT $3::integer
