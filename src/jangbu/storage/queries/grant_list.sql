-- The grants of an account that something is left of, in the order in which they burn. One that ends at infinity, which
-- the driver takes for a moment without a zone, never expires.
SELECT id, amount, consumed, expired, source, priority, nullif(expires_at, 'infinity') AS expires_at, created_at
FROM jangbu.grants
WHERE account_id = $1::uuid AND asset = $2::smallint AND ($3::boolean OR consumed + expired < amount)
ORDER BY expires_at NULLS LAST, priority, created_at, id
