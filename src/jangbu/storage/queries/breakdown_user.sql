-- What one user used in a window by service and model, from the longest rollups that lie in it, from those that are
-- recent, and from the records of quarters of an hour that the window cuts, of which those that retention sealed are read
-- apart (see top_amounts).
WITH figure AS (
    SELECT
        r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($4::timestamptz[], $5::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_six_hours AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($6::timestamptz[], $7::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_hours AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($8::timestamptz[], $9::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_quarters AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM jangbu.usage_recent AS r
    WHERE r.account_id = $1::uuid AND r.at >= $12::timestamptz AND r.at < $13::timestamptz
        AND NOT EXISTS (
            SELECT
            FROM unnest($10::timestamptz[], $11::timestamptz[]) AS run (first, next)
            WHERE r.at >= date_bin('15 minutes', run.first, '2000-01-01Z') AND r.at < run.next
        )
    UNION ALL
    SELECT
        r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($10::timestamptz[], $11::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.service_id, r.model_id,
            1::bigint AS calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            coalesce(r.cost_nano, 0) AS cost_nano, coalesce(r.input_cost_nano, 0) AS input_cost_nano,
            coalesce(r.charge_nano, 0) AS charge_nano,
            CASE WHEN r.cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced
        FROM jangbu.usage AS r
        WHERE r.account_id = $1::uuid
            AND r.id >= jangbu.uuid7_floor(run.first) AND r.id < jangbu.uuid7_floor(run.next)
        UNION ALL
        SELECT
            r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_sealed AS r
        WHERE r.account_id = $1::uuid AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
),
summed AS (
    SELECT
        f.service_id,
        f.model_id,
        jangbu.sum(f.calls) AS calls,
        jangbu.sum(f.prompt + f.tool) AS input_tokens,
        jangbu.sum(f.candidates) AS output_tokens,
        jangbu.sum(f.thoughts) AS thinking_tokens,
        jangbu.sum(f.cached) AS cached_tokens,
        jangbu.sum(f.total) AS total_tokens,
        jangbu.sum(f.cost_nano) AS cost_nano,
        jangbu.sum(f.input_cost_nano) AS input_cost_nano,
        jangbu.sum(f.charge_nano) AS charge_nano,
        jangbu.sum(f.unpriced) AS unpriced
    FROM figure AS f
    WHERE ($2::text[] IS NULL OR f.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR f.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    GROUP BY f.service_id, f.model_id
)
SELECT
    v.name AS service, m.name AS model, s.calls, s.input_tokens, s.output_tokens, s.thinking_tokens, s.cached_tokens,
    s.total_tokens, s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
FROM summed AS s
JOIN jangbu.services AS v ON v.service_id = s.service_id
JOIN jangbu.models AS m ON m.model_id = s.model_id
