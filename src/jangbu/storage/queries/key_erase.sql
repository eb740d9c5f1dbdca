-- Forgets some of the keys that callers of an erased account chose, which may hold anybody's name; gives how many. What a
-- call's own answer is known by stays, so that the answer is not charged again.
WITH gone AS (
    DELETE FROM jangbu.idempotency_keys AS k
    WHERE k.account_id = $1::uuid AND k.key IN (
        SELECT n.key
        FROM jangbu.idempotency_keys AS n
        WHERE n.account_id = $1::uuid AND n.key NOT LIKE 'answer:%'
        LIMIT $2::integer
    )
    RETURNING k.key
)
SELECT count(*) FROM gone
