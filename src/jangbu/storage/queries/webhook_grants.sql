-- Makes events of grants of tokens that were used up, in the statement that marks them.
WITH found AS (
    SELECT g.account_id, g.id, g.amount, g.source, a.user_id
    FROM jangbu.grants AS g
    JOIN jangbu.accounts AS a ON a.account_id = g.account_id AND a.project = $1::text
    WHERE g.used_up_at > clock_timestamp() - interval '1 day' AND g.told_at IS NULL AND g.asset = 1
    ORDER BY g.used_up_at
    LIMIT $2::integer
    FOR UPDATE OF g SKIP LOCKED
),
marked AS (
    UPDATE jangbu.grants AS g
    SET told_at = clock_timestamp()
    FROM found AS f
    WHERE g.account_id = f.account_id AND g.id = f.id
)
INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)
SELECT
    gen_random_uuid(), $1::text, 'grant.used_up', f.user_id,
    jsonb_build_object(
        'grant', f.id, 'amount', f.amount, 'source', f.source, 'available', b.granted - b.used - b.held
    )
FROM found AS f
JOIN jangbu.balances AS b ON b.account_id = f.account_id AND b.asset = 1
RETURNING id
