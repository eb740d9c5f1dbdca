-- What some idempotency keys stand for at each account of a project that used one. The keys' index begins with the
-- account: it is asked once for each, which the limit sees to, and which is for what a person looks for and for no call.
SELECT a.account_id, f.digest, f.result_id, f.created_at
FROM jangbu.accounts AS a
CROSS JOIN LATERAL (
    SELECT k.digest, k.result_id, k.created_at
    FROM jangbu.idempotency_keys AS k
    WHERE k.account_id = a.account_id AND k.key = ANY ($2::text[])
    LIMIT cardinality($2::text[])
) AS f
WHERE a.project = $1::text
