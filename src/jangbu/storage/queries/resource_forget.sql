-- Forgets a resource that its owner deleted, unless a call reads it, which stands in the row itself and is certain for
-- that. A hold that waits for its result is not touched: its time will be up.
DELETE FROM jangbu.resources
WHERE account_id = $1::uuid AND name = $2::text AND uses = '{}'
RETURNING name
