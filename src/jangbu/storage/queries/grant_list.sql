-- The grants of an account that something is left of, in the order in which they burn.
SELECT id, amount, consumed, expired, source, priority, expires_at, created_at
FROM jangbu.grants
WHERE account_id = $1::uuid AND asset = $2::smallint AND ($3::boolean OR consumed + expired < amount)
ORDER BY expires_at NULLS LAST, priority, created_at, id
