-- Blocks or unblocks an account, and tells what it was: a blocked one is refused new holds; what was sent is still settled.
WITH former AS (
    SELECT a.account_id, a.state
    FROM jangbu.accounts AS a
    WHERE a.account_id = $1::uuid
    FOR NO KEY UPDATE
)
UPDATE jangbu.accounts AS a
SET state = CASE WHEN $2::boolean THEN 'blocked' ELSE 'active' END::jangbu.account_state
FROM former AS f
WHERE a.account_id = f.account_id
RETURNING f.state = 'blocked' AS was_blocked
