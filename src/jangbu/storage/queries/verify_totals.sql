-- Each user's running totals against the records, column by column; from a checkpoint on against the figures by
-- hours and the recent ones, which are compared with the records apart.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
recorded AS (
    SELECT
        a.account_id, t.service_id, t.model_id, t.calls, t.prompt, t.candidates, t.thoughts, t.tool, t.cached,
        t.total, t.cost_nano, t.input_cost_nano, t.charge_nano, t.unpriced
    FROM account AS a
    CROSS JOIN LATERAL (
        SELECT
            u.service_id,
            u.model_id,
            sum(u.calls) AS calls,
            sum(u.prompt) AS prompt,
            sum(u.candidates) AS candidates,
            sum(u.thoughts) AS thoughts,
            sum(u.tool) AS tool,
            sum(u.cached) AS cached,
            sum(u.total) AS total,
            sum(u.cost_nano) AS cost_nano,
            sum(u.input_cost_nano) AS input_cost_nano,
            sum(u.charge_nano) AS charge_nano,
            sum(u.unpriced) AS unpriced
        FROM (
            SELECT
                s.service_id, s.model_id, s.calls, s.prompt, s.candidates, s.thoughts, s.tool, s.cached, s.total,
                s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
            FROM jangbu.usage_and_sealed AS s
            WHERE NOT $2::boolean AND s.account_id = a.account_id
            UNION ALL
            SELECT
                h.service_id, h.model_id,
                h.calls, h.prompt, h.candidates, h.thoughts, h.tool, h.cached, h.total, h.cost_nano,
                h.input_cost_nano, h.charge_nano, h.unpriced
            FROM jangbu.usage_hours AS h
            WHERE $2::boolean AND h.account_id = a.account_id
            UNION ALL
            SELECT
                n.service_id, n.model_id,
                n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano,
                n.input_cost_nano, n.charge_nano, n.unpriced
            FROM jangbu.usage_recent AS n
            WHERE $2::boolean AND n.account_id = a.account_id
        ) AS u
        GROUP BY u.service_id, u.model_id
    ) AS t
),
rolled AS (
    SELECT
        t.account_id,
        t.service_id,
        t.model_id,
        sum(t.calls) AS calls,
        sum(t.prompt) AS prompt,
        sum(t.candidates) AS candidates,
        sum(t.thoughts) AS thoughts,
        sum(t.tool) AS tool,
        sum(t.cached) AS cached,
        sum(t.total) AS total,
        sum(t.cost_nano) AS cost_nano,
        sum(t.input_cost_nano) AS input_cost_nano,
        sum(t.charge_nano) AS charge_nano,
        sum(t.unpriced) AS unpriced
    FROM (
        SELECT
            r.account_id, r.service_id, r.model_id,
            r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total, r.cost_nano, r.input_cost_nano,
            r.charge_nano, r.unpriced
        FROM jangbu.usage_lifetime AS r
        JOIN account AS a ON a.account_id = r.account_id
        UNION ALL
        SELECT
            n.account_id, n.service_id, n.model_id,
            n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
            n.charge_nano, n.unpriced
        FROM jangbu.usage_recent AS n
        JOIN account AS a ON a.account_id = n.account_id
    ) AS t
    GROUP BY t.account_id, t.service_id, t.model_id
)
SELECT
    account_id,
    a.user_id,
    concat(c.name, ' of ', s.name, ' on ', m.name) AS what,
    c.expected::text AS expected,
    c.found::text AS found
FROM recorded AS u
FULL JOIN rolled AS r USING (account_id, service_id, model_id)
JOIN account AS a USING (account_id)
LEFT JOIN jangbu.services AS s USING (service_id)
LEFT JOIN jangbu.models AS m USING (model_id)
CROSS JOIN LATERAL (
    VALUES
        ('calls', coalesce(u.calls, 0), coalesce(r.calls, 0)),
        ('prompt', coalesce(u.prompt, 0), coalesce(r.prompt, 0)),
        ('candidates', coalesce(u.candidates, 0), coalesce(r.candidates, 0)),
        ('thoughts', coalesce(u.thoughts, 0), coalesce(r.thoughts, 0)),
        ('tool', coalesce(u.tool, 0), coalesce(r.tool, 0)),
        ('cached', coalesce(u.cached, 0), coalesce(r.cached, 0)),
        ('total', coalesce(u.total, 0), coalesce(r.total, 0)),
        ('cost_nano', coalesce(u.cost_nano, 0), coalesce(r.cost_nano, 0)),
        ('input_cost_nano', coalesce(u.input_cost_nano, 0), coalesce(r.input_cost_nano, 0)),
        ('charge_nano', coalesce(u.charge_nano, 0), coalesce(r.charge_nano, 0)),
        ('unpriced', coalesce(u.unpriced, 0), coalesce(r.unpriced, 0))
) AS c (name, expected, found)
WHERE c.expected <> c.found
LIMIT $3::integer
