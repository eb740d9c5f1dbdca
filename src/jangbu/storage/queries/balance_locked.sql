-- Which accounts have a balance that another transaction keeps locked: what is found and cannot be locked now. It waits
-- for nobody, and what it locks it lets go of at once.
WITH free AS (
    SELECT b.account_id, b.asset
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[])
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT DISTINCT b.account_id
FROM jangbu.balances AS b
WHERE b.account_id = ANY ($1::uuid[])
    AND NOT EXISTS (SELECT FROM free AS f WHERE f.account_id = b.account_id AND f.asset = b.asset)
