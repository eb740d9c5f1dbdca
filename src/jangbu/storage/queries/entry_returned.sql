-- How many tokens of a call were given back by refunds and voids.
SELECT coalesce(sum(delta), 0)::bigint
FROM jangbu.entries
WHERE account_id = $1::uuid AND reference = $2::uuid AND asset = 1 AND kind IN ('refund', 'void')
