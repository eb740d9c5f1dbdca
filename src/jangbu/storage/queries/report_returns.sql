-- What was given back of a call in an asset, by refunds and voids, in the order in which it happened.
SELECT seq, kind, delta, balance_after, created_at, posting, reference, reason
FROM jangbu.entries
WHERE account_id = $1::uuid AND reference = $2::uuid AND asset = $3::smallint AND kind IN ('refund', 'void')
ORDER BY seq
