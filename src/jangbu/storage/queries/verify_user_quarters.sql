-- Each user's figures by quarters of an hour, from a day on, against the records, column by column; a record's quarter is
-- that of its id. What is recent and what lasts count together.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE account_id = ANY ($1::uuid[])
),
recorded AS (
    SELECT a.account_id, t.at, t.service_id, t.model_id,
        t.calls, t.prompt, t.candidates, t.thoughts, t.tool, t.cached, t.total, t.cost_nano, t.input_cost_nano,
        t.charge_nano, t.unpriced
    FROM account AS a
    CROSS JOIN LATERAL (
        SELECT
            u.at,
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
        FROM jangbu.usage_and_sealed AS u
        WHERE u.account_id = a.account_id AND u.id >= $3::uuid
        GROUP BY u.at, u.service_id, u.model_id
    ) AS t
),
rolled AS (
    SELECT a.account_id, t.at, t.service_id, t.model_id,
        t.calls, t.prompt, t.candidates, t.thoughts, t.tool, t.cached, t.total, t.cost_nano, t.input_cost_nano,
        t.charge_nano, t.unpriced
    FROM account AS a
    CROSS JOIN LATERAL (
        SELECT
            r.at,
            r.service_id,
            r.model_id,
            sum(r.calls) AS calls,
            sum(r.prompt) AS prompt,
            sum(r.candidates) AS candidates,
            sum(r.thoughts) AS thoughts,
            sum(r.tool) AS tool,
            sum(r.cached) AS cached,
            sum(r.total) AS total,
            sum(r.cost_nano) AS cost_nano,
            sum(r.input_cost_nano) AS input_cost_nano,
            sum(r.charge_nano) AS charge_nano,
            sum(r.unpriced) AS unpriced
        FROM jangbu.usage_by_quarter AS r
        WHERE r.account_id = a.account_id AND r.at >= $2::date::timestamp AT TIME ZONE 'UTC'
        GROUP BY r.at, r.service_id, r.model_id
    ) AS t
)
SELECT
    account_id,
    a.user_id,
    concat(
        c.name, ' of ', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ' UTC, ', s.name, ' on ', m.name
    ) AS what,
    c.expected::text AS expected,
    c.found::text AS found
FROM recorded AS u
FULL JOIN rolled AS r USING (account_id, at, service_id, model_id)
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
LIMIT $4::integer
