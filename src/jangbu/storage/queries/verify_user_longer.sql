-- Each user's lasting figures by hours, six hours and days, from a day on, against those by quarters of an hour, which
-- are compared with the records apart. Days are of everything: they have no service and no model.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
quarter AS MATERIALIZED (
    SELECT
        q.account_id, q.at, q.service_id, q.model_id,
        q.calls, q.prompt, q.candidates, q.thoughts, q.tool, q.cached, q.total, q.cost_nano, q.input_cost_nano,
        q.charge_nano, q.unpriced
    FROM account AS a
    JOIN jangbu.usage_quarters AS q ON q.account_id = a.account_id
    WHERE q.at >= $2::date::timestamp AT TIME ZONE 'UTC'
),
shorter AS (
    SELECT
        f.length,
        q.account_id,
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
    CROSS JOIN (VALUES ('hour', interval '1 hour'), ('six hours', interval '6 hours')) AS f (length, width)
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT
        'day',
        q.account_id,
        date_trunc('day', q.at, 'UTC') AS at,
        0,
        0,
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
    GROUP BY 2, 3
),
longer AS (
    SELECT
        'hour' AS length, h.account_id, h.at, h.service_id, h.model_id,
        h.calls, h.prompt, h.candidates, h.thoughts, h.tool, h.cached, h.total, h.cost_nano, h.input_cost_nano,
        h.charge_nano, h.unpriced
    FROM account AS a
    JOIN jangbu.usage_hours AS h ON h.account_id = a.account_id
    WHERE h.at >= $2::date::timestamp AT TIME ZONE 'UTC'
    UNION ALL
    SELECT
        'six hours', x.account_id, x.at, x.service_id, x.model_id,
        x.calls, x.prompt, x.candidates, x.thoughts, x.tool, x.cached, x.total, x.cost_nano, x.input_cost_nano,
        x.charge_nano, x.unpriced
    FROM account AS a
    JOIN jangbu.usage_six_hours AS x ON x.account_id = a.account_id
    WHERE x.at >= $2::date::timestamp AT TIME ZONE 'UTC'
    UNION ALL
    SELECT
        'day', d.account_id, d.day::timestamp AT TIME ZONE 'UTC', 0, 0,
        d.calls, d.prompt, d.candidates, d.thoughts, d.tool, d.cached, d.total, d.cost_nano, d.input_cost_nano,
        d.charge_nano, d.unpriced
    FROM account AS a
    JOIN jangbu.usage_days AS d ON d.account_id = a.account_id
    WHERE d.day >= $2::date
)
SELECT
    account_id,
    a.user_id,
    concat(
        c.name, ' of the ', length, ' from ', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ' UTC',
        ', ' || s.name, ' on ' || m.name
    ) AS what,
    c.expected::text AS expected,
    c.found::text AS found
FROM shorter AS q
FULL JOIN longer AS l USING (length, account_id, at, service_id, model_id)
JOIN account AS a USING (account_id)
LEFT JOIN jangbu.services AS s USING (service_id)
LEFT JOIN jangbu.models AS m USING (model_id)
CROSS JOIN LATERAL (
    VALUES
        ('calls', coalesce(q.calls, 0), coalesce(l.calls, 0)),
        ('prompt', coalesce(q.prompt, 0), coalesce(l.prompt, 0)),
        ('candidates', coalesce(q.candidates, 0), coalesce(l.candidates, 0)),
        ('thoughts', coalesce(q.thoughts, 0), coalesce(l.thoughts, 0)),
        ('tool', coalesce(q.tool, 0), coalesce(l.tool, 0)),
        ('cached', coalesce(q.cached, 0), coalesce(l.cached, 0)),
        ('total', coalesce(q.total, 0), coalesce(l.total, 0)),
        ('cost_nano', coalesce(q.cost_nano, 0), coalesce(l.cost_nano, 0)),
        ('input_cost_nano', coalesce(q.input_cost_nano, 0), coalesce(l.input_cost_nano, 0)),
        ('charge_nano', coalesce(q.charge_nano, 0), coalesce(l.charge_nano, 0)),
        ('unpriced', coalesce(q.unpriced, 0), coalesce(l.unpriced, 0))
) AS c (name, expected, found)
WHERE c.expected <> c.found
LIMIT $3::integer
