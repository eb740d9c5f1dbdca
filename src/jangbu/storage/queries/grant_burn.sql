-- Writes a burn-down: how much of each grant is consumed, how much it lost by expiring, and when it was used up.
UPDATE jangbu.grants AS g
SET consumed = t.consumed,
    expired = t.expired,
    used_up_at = CASE WHEN t.consumed = g.amount THEN coalesce(g.used_up_at, clock_timestamp()) END
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS t (id, consumed, expired)
WHERE g.account_id = $1::uuid AND g.id = t.id
