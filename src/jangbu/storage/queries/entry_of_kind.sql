-- An account's entries of a kind that is no usage, between two numbers, newest first; a statement of its own, so that
-- few among many debits are found by their own index.
SELECT e.seq, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.created_at, e.key
FROM jangbu.entries AS e
WHERE e.account_id = $1::uuid AND e.asset = $2::smallint AND e.kind = $5::text::jangbu.entry_kind
    AND e.kind <> 'usage' AND e.seq >= $3::bigint AND e.seq < $4::bigint
ORDER BY e.seq DESC
LIMIT $6::integer
