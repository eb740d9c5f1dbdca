-- The entry of a usage row: the first of its posting and kind.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.created_at
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.posting = $3::bigint
    AND e.kind = CASE WHEN $4::boolean THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind
    AND e.seq > CASE WHEN $2::smallint = 1 THEN $3::bigint ELSE 0 END
ORDER BY e.seq
LIMIT 1
