-- A project's lasting figures by minutes, hours, six hours and days against those by quarters of an hour, which are
-- compared with the records apart; from the beginning of a day to that of another.
WITH quarter AS MATERIALIZED (
    SELECT
        q.at, q.service_id, q.model_id,
        q.calls, q.prompt, q.candidates, q.thoughts, q.tool, q.cached, q.total, q.cost_nano, q.input_cost_nano,
        q.charge_nano, q.unpriced
    FROM jangbu.project_quarters AS q
    WHERE q.project = $1::text AND q.at >= $2::timestamptz AND q.at < $3::timestamptz
),
expected AS (
    SELECT
        'minutes of the quarter of an hour' AS length, q.at, q.service_id, q.model_id,
        q.calls, q.prompt, q.candidates, q.thoughts, q.tool, q.cached, q.total, q.cost_nano, q.input_cost_nano,
        q.charge_nano, q.unpriced
    FROM quarter AS q
    UNION ALL
    SELECT
        f.length,
        date_bin(f.width, q.at, '2000-01-01Z') AS at,
        q.service_id,
        q.model_id,
        sum(q.calls) AS calls,
        sum(q.prompt) AS prompt,
        sum(q.candidates) AS candidates,
        sum(q.thoughts) AS thoughts,
        sum(q.tool) AS tool,
        sum(q.cached) AS cached,
        sum(q.total) AS total,
        sum(q.cost_nano) AS cost_nano,
        sum(q.input_cost_nano) AS input_cost_nano,
        sum(q.charge_nano) AS charge_nano,
        sum(q.unpriced) AS unpriced
    FROM quarter AS q
    CROSS JOIN (
        VALUES ('hour', interval '1 hour'), ('six hours', interval '6 hours'), ('day', interval '24 hours')
    ) AS f (length, width)
    GROUP BY 1, 2, 3, 4
),
found AS (
    SELECT
        'minutes of the quarter of an hour' AS length,
        date_bin('15 minutes', n.at, '2000-01-01Z') AS at,
        n.service_id,
        n.model_id,
        sum(n.calls) AS calls,
        sum(n.prompt) AS prompt,
        sum(n.candidates) AS candidates,
        sum(n.thoughts) AS thoughts,
        sum(n.tool) AS tool,
        sum(n.cached) AS cached,
        sum(n.total) AS total,
        sum(n.cost_nano) AS cost_nano,
        sum(n.input_cost_nano) AS input_cost_nano,
        sum(n.charge_nano) AS charge_nano,
        sum(n.unpriced) AS unpriced
    FROM jangbu.project_minutes AS n
    WHERE n.project = $1::text AND n.at >= $2::timestamptz AND n.at < $3::timestamptz
    GROUP BY 2, 3, 4
    UNION ALL
    SELECT
        'hour', h.at, h.service_id, h.model_id,
        h.calls, h.prompt, h.candidates, h.thoughts, h.tool, h.cached, h.total, h.cost_nano, h.input_cost_nano,
        h.charge_nano, h.unpriced
    FROM jangbu.project_hours AS h
    WHERE h.project = $1::text AND h.at >= $2::timestamptz AND h.at < $3::timestamptz
    UNION ALL
    SELECT
        'six hours', x.at, x.service_id, x.model_id,
        x.calls, x.prompt, x.candidates, x.thoughts, x.tool, x.cached, x.total, x.cost_nano, x.input_cost_nano,
        x.charge_nano, x.unpriced
    FROM jangbu.project_six_hours AS x
    WHERE x.project = $1::text AND x.at >= $2::timestamptz AND x.at < $3::timestamptz
    UNION ALL
    SELECT
        'day', d.at, d.service_id, d.model_id,
        d.calls, d.prompt, d.candidates, d.thoughts, d.tool, d.cached, d.total, d.cost_nano, d.input_cost_nano,
        d.charge_nano, d.unpriced
    FROM jangbu.project_days AS d
    WHERE d.project = $1::text AND d.at >= $2::timestamptz AND d.at < $3::timestamptz
)
SELECT
    NULL::uuid AS account_id,
    NULL::text AS user_id,
    concat(
        c.name, ' of the ', length, ' from ', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ' UTC, ', s.name,
        ' on ', m.name
    ) AS what,
    c.expected::text AS expected,
    c.found::text AS found
FROM expected AS e
FULL JOIN found AS f USING (length, at, service_id, model_id)
LEFT JOIN jangbu.services AS s USING (service_id)
LEFT JOIN jangbu.models AS m USING (model_id)
CROSS JOIN LATERAL (
    VALUES
        ('calls', coalesce(e.calls, 0), coalesce(f.calls, 0)),
        ('prompt', coalesce(e.prompt, 0), coalesce(f.prompt, 0)),
        ('candidates', coalesce(e.candidates, 0), coalesce(f.candidates, 0)),
        ('thoughts', coalesce(e.thoughts, 0), coalesce(f.thoughts, 0)),
        ('tool', coalesce(e.tool, 0), coalesce(f.tool, 0)),
        ('cached', coalesce(e.cached, 0), coalesce(f.cached, 0)),
        ('total', coalesce(e.total, 0), coalesce(f.total, 0)),
        ('cost_nano', coalesce(e.cost_nano, 0), coalesce(f.cost_nano, 0)),
        ('input_cost_nano', coalesce(e.input_cost_nano, 0), coalesce(f.input_cost_nano, 0)),
        ('charge_nano', coalesce(e.charge_nano, 0), coalesce(f.charge_nano, 0)),
        ('unpriced', coalesce(e.unpriced, 0), coalesce(f.unpriced, 0))
) AS c (name, expected, found)
WHERE c.expected <> c.found
LIMIT $4::integer
