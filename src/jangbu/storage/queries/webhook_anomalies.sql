-- Makes events of new findings, in the statement that marks them: one for all of a kind that a user has at that moment.
-- Findings that somebody else is about to resolve or to tell are left to them, so this never waits for a flush.
WITH found AS (
    SELECT f.account_id, f.usage_id, f.kind, f.created_at, a.user_id
    FROM jangbu.findings AS f
    JOIN jangbu.accounts AS a ON a.account_id = f.account_id AND a.project = $1::text
    WHERE f.told_at IS NULL AND f.resolved_at IS NULL
        AND f.created_at > clock_timestamp() - interval '1 day'
        AND f.kind IN ('unpriced', 'overrun', 'late', 'anomaly', 'unknown_outcome')
    ORDER BY f.created_at
    LIMIT $2::integer
    FOR UPDATE OF f SKIP LOCKED
),
marked AS (
    UPDATE jangbu.findings AS g
    SET told_at = clock_timestamp()
    FROM found AS f
    WHERE g.account_id = f.account_id AND g.usage_id = f.usage_id AND g.kind = f.kind
)
INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)
SELECT
    gen_random_uuid(), $1::text, 'call.anomaly', f.user_id,
    jsonb_build_object(
        'finding', f.kind,
        'findings', count(*),
        'calls', to_jsonb((array_agg(f.usage_id ORDER BY f.created_at))[1:20])
    )
FROM found AS f
GROUP BY f.user_id, f.kind
RETURNING id
