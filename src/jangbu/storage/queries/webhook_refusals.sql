-- Makes an event of the refused calls of each user of whom the app was not told within an hour.
WITH due AS (
    SELECT r.account_id, r.calls, r.since
    FROM jangbu.refused_calls AS r
    WHERE r.project = $1::text AND r.calls > 0 AND r.told_at <= clock_timestamp() - interval '1 hour'
    ORDER BY r.told_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
moved AS (
    UPDATE jangbu.refused_calls AS r
    SET calls = 0, told_at = clock_timestamp()
    FROM due AS d
    WHERE r.account_id = d.account_id
)
INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)
SELECT
    gen_random_uuid(), $1::text, 'call.refused', a.user_id,
    jsonb_build_object(
        'calls', d.calls,
        'since', to_char(d.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'available', b.granted - b.used - b.held
    )
FROM due AS d
JOIN jangbu.accounts AS a ON a.account_id = d.account_id
JOIN jangbu.balances AS b ON b.account_id = d.account_id AND b.asset = 1
RETURNING id
