-- Lets an open hold wait longer for a result that comes later, never shorter. No balance moves, so none is locked.
UPDATE jangbu.holds
SET expires_at = greatest(expires_at, clock_timestamp() + $3::integer * interval '1 second')
WHERE account_id = $1::uuid AND id = $2::uuid AND state = 'open'
RETURNING id
