-- Writes a burn-down: how much of each grant is consumed, and how much it lost by expiring.
UPDATE jangbu.grants AS g
SET consumed = t.consumed, expired = t.expired
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS t (id, consumed, expired)
WHERE g.account_id = $1::uuid AND g.id = t.id
