-- Makes one alert of all new findings of a kind, in the statement that marks them, unless findings of that kind were
-- told within the interval: then they wait and are counted into the next one. Findings that somebody else is about to
-- resolve or to tell are left to them, so this never waits for a flush. Keys are moved in order, so nodes never deadlock.
WITH wanted AS (
    SELECT w.kind, w.id
    FROM unnest($2::text[], $3::uuid[]) AS w (kind, id)
    WHERE NOT EXISTS (
        SELECT FROM jangbu.alert_keys AS k
        WHERE k.project = $1::text AND k.key = w.kind
            AND k.told_at > clock_timestamp() - $5::integer * interval '1 second'
    )
),
found AS (
    SELECT w.kind, w.id, f.account_id, f.usage_id, f.created_at
    FROM wanted AS w
    CROSS JOIN LATERAL (
        SELECT f.account_id, f.usage_id, f.created_at
        FROM jangbu.findings AS f
        WHERE f.kind = w.kind::jangbu.finding_kind AND f.alerted_at IS NULL AND f.resolved_at IS NULL
            AND EXISTS (
                SELECT FROM jangbu.accounts AS a WHERE a.account_id = f.account_id AND a.project = $1::text
            )
        ORDER BY f.created_at
        LIMIT $6::integer
        FOR UPDATE OF f SKIP LOCKED
    ) AS f
),
told AS (
    INSERT INTO jangbu.alert_keys AS k (project, key, told_at)
    SELECT $1::text, f.kind, clock_timestamp()
    FROM found AS f
    GROUP BY f.kind
    ORDER BY f.kind
    ON CONFLICT (project, key) DO UPDATE
    SET told_at = excluded.told_at
    WHERE k.told_at <= clock_timestamp() - $5::integer * interval '1 second'
    RETURNING key
),
marked AS (
    UPDATE jangbu.findings AS g
    SET alerted_at = clock_timestamp()
    FROM found AS f
    JOIN told AS t ON t.key = f.kind
    WHERE g.account_id = f.account_id AND g.usage_id = f.usage_id AND g.kind = f.kind::jangbu.finding_kind
)
INSERT INTO jangbu.alerts (id, project, condition, phase, key, node, facts, raised_at)
SELECT
    f.id, $1::text, f.kind, 'began', f.kind, $4::text,
    jsonb_strip_nulls(jsonb_build_object(
        'findings', count(*),
        'call', (array_agg(f.usage_id ORDER BY f.created_at DESC))[1],
        'models', string_agg(DISTINCT m.name, ', ')
    )),
    clock_timestamp()
FROM found AS f
JOIN told AS t ON t.key = f.kind
LEFT JOIN jangbu.usage AS u ON f.kind = 'unpriced' AND u.account_id = f.account_id AND u.id = f.usage_id
LEFT JOIN jangbu.models AS m ON m.model_id = u.model_id
GROUP BY f.id, f.kind
RETURNING id, project, condition, phase, key, node, facts::text AS facts, raised_at
