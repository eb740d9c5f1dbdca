-- Makes one alert of all new findings of a kind, in the statement that marks them, unless findings of that kind were
-- told within the interval: then they wait and are counted into the next one. Where the latest alert of a kind was muted
-- and the mute is over, its findings that nobody has looked into since are told at once, because nobody was told of them.
-- Findings that somebody else is about to resolve or to tell are left to them, so this never waits for a flush. Keys are
-- moved in order, so nodes never deadlock.
WITH at AS (
    SELECT clock_timestamp() AS now, clock_timestamp() - $5::integer * interval '1 second' AS due
),
outlasted AS (
    SELECT k.key AS kind, k.told_at, min(m.muted_at) AS since
    FROM jangbu.alert_keys AS k
    JOIN jangbu.alert_mutes AS m ON m.project = k.project AND m.condition = k.key
    CROSS JOIN LATERAL (SELECT least(m.until, m.ended_at) AS ended) AS e
    WHERE k.project = $1::text AND k.key = ANY ($2::text[])
        AND k.told_at >= m.muted_at AND k.told_at < e.ended AND e.ended <= clock_timestamp()
    GROUP BY k.key, k.told_at
),
wanted AS (
    SELECT w.kind, w.id, o.since, o.told_at
    FROM unnest($2::text[], $3::uuid[]) AS w (kind, id)
    LEFT JOIN outlasted AS o ON o.kind = w.kind
    CROSS JOIN at AS t
    WHERE o.kind IS NOT NULL OR NOT EXISTS (
        SELECT FROM jangbu.alert_keys AS k WHERE k.project = $1::text AND k.key = w.kind AND k.told_at > t.due
    )
),
new AS (
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
unheard AS (
    SELECT w.kind, w.id, f.account_id, f.usage_id, f.created_at
    FROM wanted AS w
    CROSS JOIN LATERAL (
        SELECT f.account_id, f.usage_id, f.created_at
        FROM jangbu.findings AS f
        WHERE f.kind = w.kind::jangbu.finding_kind AND f.alerted_at BETWEEN w.since AND w.told_at
            AND f.acknowledged_at IS NULL AND f.resolved_at IS NULL
            AND EXISTS (
                SELECT FROM jangbu.accounts AS a WHERE a.account_id = f.account_id AND a.project = $1::text
            )
        ORDER BY f.created_at
        LIMIT $6::integer
        FOR UPDATE OF f SKIP LOCKED
    ) AS f
    WHERE w.since IS NOT NULL
),
found AS (
    SELECT n.kind, n.id, n.account_id, n.usage_id, n.created_at FROM new AS n
    UNION ALL
    SELECT u.kind, u.id, u.account_id, u.usage_id, u.created_at FROM unheard AS u
),
told AS (
    -- Where nobody has to be told what the mute kept, it is looked for once, and what comes next is told at once.
    INSERT INTO jangbu.alert_keys AS k (project, key, told_at)
    SELECT $1::text, w.kind, CASE WHEN w.kind IN (SELECT f.kind FROM found AS f) THEN t.now ELSE t.due END
    FROM wanted AS w
    CROSS JOIN at AS t
    WHERE w.since IS NOT NULL OR w.kind IN (SELECT f.kind FROM found AS f)
    ORDER BY w.kind
    ON CONFLICT (project, key) DO UPDATE
    SET told_at = excluded.told_at
    WHERE k.told_at <= (SELECT t.due FROM at AS t)
        OR k.told_at = (SELECT o.told_at FROM outlasted AS o WHERE o.kind = k.key)
    RETURNING key
),
marked AS (
    UPDATE jangbu.findings AS g
    SET alerted_at = a.now
    FROM found AS f
    JOIN told AS t ON t.key = f.kind
    CROSS JOIN at AS a
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
    (SELECT a.now FROM at AS a)
FROM found AS f
JOIN told AS t ON t.key = f.kind
LEFT JOIN jangbu.usage AS u ON f.kind = 'unpriced' AND u.account_id = f.account_id AND u.id = f.usage_id
LEFT JOIN jangbu.models AS m ON m.model_id = u.model_id
GROUP BY f.id, f.kind
RETURNING id, project, condition, phase, key, node, facts::text AS facts, raised_at
