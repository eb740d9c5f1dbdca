-- Gives an account another name, and tells what it still holds for calls under way. The lock of the balance comes first:
-- what took a hold before the account was blocked has either committed, or waits for it.
WITH balance AS (
    SELECT b.account_id, b.held
    FROM jangbu.balances AS b
    WHERE b.account_id = $1::uuid AND b.asset = 1
    FOR NO KEY UPDATE
)
UPDATE jangbu.accounts AS a
SET user_id = $2::text
FROM balance AS b
WHERE a.account_id = b.account_id
RETURNING b.held
