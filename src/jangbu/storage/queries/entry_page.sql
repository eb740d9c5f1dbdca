-- An account's entries between two numbers, newest first: all of them, or those of usage, which nearly all are.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.created_at, e.key
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.seq >= $3::bigint AND e.seq < $4::bigint
    AND (NOT $5::boolean OR e.kind = 'usage')
ORDER BY e.seq DESC
LIMIT $6::integer
