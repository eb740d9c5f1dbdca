-- The calls of a project that some keys stand for, newest first: callers choose keys for each account, so one may stand for
-- a call of many. A key whose record was dropped, or was never written, stands for none. Each account is asked by its own
-- index, and a limit keeps the parts apart: put together, they may be read as all the calls of an account.
SELECT f.id, a.user_id
FROM jangbu.accounts AS a
CROSS JOIN LATERAL (
    SELECT k.result_id
    FROM jangbu.idempotency_keys AS k
    WHERE k.account_id = a.account_id AND k.key = ANY ($2::text[])
    LIMIT $3::integer
) AS k
CROSS JOIN LATERAL (
    SELECT u.id
    FROM jangbu.usage AS u
    WHERE u.account_id = a.account_id AND u.id = k.result_id
    LIMIT 1
) AS f
WHERE a.project = $1::text
ORDER BY f.id DESC
LIMIT $3::integer
