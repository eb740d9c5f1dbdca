-- An account's history, newest first, paged by its own numbering.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.created_at, e.key
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND ($3::bigint IS NULL OR e.seq < $3::bigint)
ORDER BY e.seq DESC
LIMIT $4::integer
