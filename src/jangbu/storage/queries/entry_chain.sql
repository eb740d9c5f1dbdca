-- Entries of a balance with their hashes, oldest first: those after one number and up to another, a page of them.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.created_at, e.hash
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.seq > $3::bigint AND e.seq <= $4::bigint
ORDER BY e.seq
LIMIT $5::integer
