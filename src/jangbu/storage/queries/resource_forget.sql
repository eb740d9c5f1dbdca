-- Forgets a resource that its owner deleted. A hold that waits for its result is not touched: its time will be up.
DELETE FROM jangbu.resources
WHERE account_id = $1::uuid AND name = $2::text
RETURNING name
