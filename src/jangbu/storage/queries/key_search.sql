-- What an idempotency key stands for at each account of a project that used it. The keys' index begins with the account:
-- it is asked once for each, which is for what an operator does by hand (35 ms among 10,000 accounts) and for no call.
SELECT a.account_id, k.digest, k.result_id, k.created_at
FROM jangbu.accounts AS a
JOIN jangbu.idempotency_keys AS k ON k.account_id = a.account_id AND k.key = $2::text
WHERE a.project = $1::text
