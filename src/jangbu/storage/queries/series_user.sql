-- What one user used in each bucket of a window, from the records and what is left of dropped ones. Buckets are numbered
-- by their edges, from 1; part is the model or service, if asked for.
WITH figure AS (
    SELECT
        CASE WHEN u.calls = 1 THEN jangbu.uuid7_time(u.id) ELSE u.hour END AS at, u.service_id, u.model_id, u.calls,
        u.prompt + u.tool AS input, u.candidates AS output, u.thoughts AS thinking, u.cached, u.total, u.cost_nano,
        u.input_cost_nano, u.charge_nano, u.unpriced
    FROM jangbu.usage_and_sealed AS u
    WHERE u.account_id = $1::uuid
        AND u.id >= jangbu.uuid7_floor($6::timestamptz) AND u.id < jangbu.uuid7_floor($7::timestamptz)
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
