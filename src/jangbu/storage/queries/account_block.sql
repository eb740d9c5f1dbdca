-- Blocks or unblocks an account: a blocked one is refused new holds; what was sent is still settled.
UPDATE jangbu.accounts
SET state = CASE WHEN $2::boolean THEN 'blocked' ELSE 'active' END::jangbu.account_state
WHERE account_id = $1::uuid
RETURNING account_id
