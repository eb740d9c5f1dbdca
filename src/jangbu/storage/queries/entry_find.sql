-- The entry that sums a usage row: a posting writes at most two, one of each kind, under the numbers that follow it.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.created_at, e.reason
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.seq BETWEEN $3::bigint + 1 AND $3::bigint + 2
    AND e.posting = $3::bigint
    AND e.kind = CASE WHEN $4::boolean THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind
