-- Brings accounts whose balance changed to where they belong in the directory, so many at most. Balances that a call is
-- moving just now are left for the next time, so nobody waits for this, and this for nobody.
WITH chosen AS (
    SELECT b.account_id, b.asset, b.used, b.granted - b.used AS left_over,
        coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0) AS seen_ms
    FROM jangbu.balances AS b
    WHERE b.asset = 1 AND NOT b.is_listed
    ORDER BY b.account_id
    LIMIT $1::integer
    FOR NO KEY UPDATE SKIP LOCKED
),
listed AS (
    INSERT INTO jangbu.directory AS d (account_id, project, user_id, used, left_over, seen_ms)
    SELECT c.account_id, a.project, a.user_id, c.used, c.left_over, c.seen_ms
    FROM chosen AS c
    JOIN jangbu.accounts AS a ON a.account_id = c.account_id
    ORDER BY c.account_id
    ON CONFLICT (account_id) DO UPDATE
    SET used = excluded.used,
        left_over = excluded.left_over,
        seen_ms = excluded.seen_ms
),
marked AS (
    UPDATE jangbu.balances AS b
    SET is_listed = true
    FROM chosen AS c
    WHERE b.account_id = c.account_id AND b.asset = c.asset
    RETURNING b.account_id
)
SELECT count(*) AS rows FROM marked
