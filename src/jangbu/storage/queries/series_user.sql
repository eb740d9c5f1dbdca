-- What one user used in each bucket of a window: from the longest rollups that no edge cuts, in runs of days (which
-- are of everything), six hours, hours and quarters of an hour, from those that are recent, and from the records of
-- quarters that edges cut, of which those that retention sealed are read apart (see top_amounts). Buckets are numbered
-- by their edges, from 1; a record stands where its bucket begins, which its id tells sooner than when it was made. part
-- is the model or service, where that is asked for.
WITH edge AS (
    SELECT ARRAY(SELECT jangbu.uuid7_floor(e.at) FROM unnest($2::timestamptz[]) AS e (at) ORDER BY e.at) AS ids
),
figure AS (
    SELECT
        r.day::timestamp AT TIME ZONE 'UTC' AS at, NULL::smallint AS service_id, NULL::integer AS model_id,
        r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($6::date[], $7::date[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.day, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_days AS r
        WHERE r.account_id = $1::uuid
            AND r.day >= run.first AND r.day < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($8::timestamptz[], $9::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_six_hours AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($10::timestamptz[], $11::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_hours AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($12::timestamptz[], $13::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_quarters AS r
        WHERE r.account_id = $1::uuid
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM jangbu.usage_recent AS r
    WHERE r.account_id = $1::uuid AND r.at >= $16::timestamptz AND r.at < $17::timestamptz
        AND NOT EXISTS (
            SELECT
            FROM unnest($14::timestamptz[], $15::timestamptz[]) AS run (first, next)
            WHERE r.at >= date_bin('15 minutes', run.first, '2000-01-01Z') AND r.at < run.next
        )
    UNION ALL
    SELECT
        r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($14::timestamptz[], $15::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            ($2::timestamptz[])[width_bucket(r.id, (SELECT e.ids FROM edge AS e))] AS at, r.service_id, r.model_id,
            1::bigint AS calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            coalesce(r.cost_nano, 0) AS cost_nano, coalesce(r.input_cost_nano, 0) AS input_cost_nano,
            coalesce(r.charge_nano, 0) AS charge_nano,
            CASE WHEN r.cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced
        FROM jangbu.usage AS r
        WHERE r.account_id = $1::uuid
            AND r.id >= jangbu.uuid7_floor(run.first) AND r.id < jangbu.uuid7_floor(run.next)
        UNION ALL
        SELECT
            r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_sealed AS r
        WHERE r.account_id = $1::uuid AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
),
summed AS (
    SELECT
        width_bucket(f.at, $2::timestamptz[]) AS bucket,
        CASE $3::text WHEN 'model' THEN f.model_id WHEN 'service' THEN f.service_id END AS part_id,
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
