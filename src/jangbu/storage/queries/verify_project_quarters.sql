-- The figures of a project by quarters of an hour against the records of its accounts, column by column; they know no
-- user. From one hour to before another, of some of the accounts or of all: those that had no call in these hours may be
-- left out. What is recent and what lasts count together.
WITH account AS (
    SELECT account_id
    FROM jangbu.accounts
    WHERE project = $1::text AND ($2::uuid[] IS NULL OR account_id = ANY ($2::uuid[]))
),
recorded AS (
    SELECT
        t.at,
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
        WHERE u.account_id = a.account_id
            AND u.id >= jangbu.uuid7_floor($3::timestamptz) AND u.id < jangbu.uuid7_floor($4::timestamptz)
        GROUP BY u.at, u.service_id, u.model_id
    ) AS t
    GROUP BY t.at, t.service_id, t.model_id
),
rolled AS (
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
    FROM jangbu.project_by_quarter AS r
    WHERE r.project = $1::text AND r.at >= $3::timestamptz AND r.at < $4::timestamptz
    GROUP BY r.at, r.service_id, r.model_id
)
SELECT
    NULL::uuid AS account_id,
    NULL::text AS user_id,
    concat(
        c.name, ' of ', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ' UTC, ', s.name, ' on ', m.name
    ) AS what,
    c.expected::text AS expected,
    c.found::text AS found,
    date_trunc('hour', at, 'UTC') AS hour
FROM recorded AS u
FULL JOIN rolled AS r USING (at, service_id, model_id)
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
LIMIT $5::integer
