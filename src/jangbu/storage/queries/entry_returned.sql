-- How much of a call's charge in an asset was given back by refunds and voids.
SELECT coalesce(sum(delta), 0)::bigint
FROM jangbu.entries
WHERE account_id = $1::uuid AND asset = $2::smallint AND reference = $3::uuid AND kind IN ('refund', 'void')
