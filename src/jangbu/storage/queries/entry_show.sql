-- One entry, by its number, with its hash.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.created_at, e.key, e.hash
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.seq = $3::bigint
