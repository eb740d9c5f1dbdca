-- What everybody in a project used in each bucket of a window: from the hourly figures, and where an edge cuts an hour
-- from the records of its parts. Buckets are numbered by their edges, from 1; part is the model or service, if asked for.
WITH figure AS (
    SELECT
        r.hour AS at, r.service_id, r.model_id, r.calls, r.prompt + r.tool AS input, r.candidates AS output,
        r.thoughts AS thinking, r.cached, r.total, r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM jangbu.usage_hourly AS r
    WHERE r.project = $1::text
        AND r.hour >= $6::timestamptz AND r.hour < $7::timestamptz
        AND r.hour <> ALL ($8::timestamptz[])
    UNION ALL
    SELECT
        jangbu.uuid7_time(u.id), u.service_id, u.model_id, 1, u.prompt + u.tool, u.candidates,
        u.thoughts, u.cached, u.total, coalesce(u.cost_nano, 0), coalesce(u.input_cost_nano, 0),
        coalesce(u.charge_nano, 0), CASE WHEN u.cost_nano IS NULL THEN 1 ELSE 0 END
    FROM unnest($9::timestamptz[], $10::timestamptz[]) AS p (first, next)
    CROSS JOIN jangbu.accounts AS a
    JOIN jangbu.usage AS u
        ON u.account_id = a.account_id
        AND u.id >= jangbu.uuid7_floor(p.first) AND u.id < jangbu.uuid7_floor(p.next)
    WHERE a.project = $1::text
),
summed AS (
    SELECT
        width_bucket(f.at, $2::timestamptz[]) AS bucket,
        CASE $3::text WHEN 'model' THEN f.model_id WHEN 'service' THEN f.service_id END AS part_id,
        jangbu.sum(f.calls) AS calls,
        jangbu.sum(f.input) AS input_tokens,
        jangbu.sum(f.output) AS output_tokens,
        jangbu.sum(f.thinking) AS thinking_tokens,
        jangbu.sum(f.cached) AS cached_tokens,
        jangbu.sum(f.total) AS total_tokens,
        jangbu.sum(f.cost_nano) AS cost_nano,
        jangbu.sum(f.input_cost_nano) AS input_cost_nano,
        jangbu.sum(f.charge_nano) AS charge_nano,
        jangbu.sum(f.unpriced) AS unpriced
    FROM figure AS f
    WHERE ($4::text[] IS NULL OR f.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($4::text[])))
        AND (
            $5::text[] IS NULL
            OR f.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($5::text[]))
        )
    GROUP BY 1, 2
)
SELECT
    s.bucket,
    CASE $3::text
        WHEN 'model' THEN (SELECT m.name FROM jangbu.models AS m WHERE m.model_id = s.part_id)
        WHEN 'service' THEN (SELECT v.name FROM jangbu.services AS v WHERE v.service_id = s.part_id)
    END AS part,
    s.calls, s.input_tokens, s.output_tokens, s.thinking_tokens, s.cached_tokens, s.total_tokens, s.cost_nano,
    s.input_cost_nano, s.charge_nano, s.unpriced
FROM summed AS s
