-- Who in a project used most of some models and services in a window, the first one first, so many at most; $2 says what
-- is asked: calls, total or cost. No figures of users by days know of models, so all who ever used them are added up:
-- each from the longest rollups that lie in the window, one account after another, so that nothing is sorted but sums.
-- Quarters of an hour are few and are found by time, and so is who called in those that the window cuts, whose records
-- are read, apart from those that retention sealed (see top_amounts).
WITH meant AS MATERIALIZED (
    SELECT
        ARRAY(SELECT m.model_id FROM jangbu.models AS m WHERE $4::text[] IS NULL OR m.name = ANY ($4::text[])) AS models,
        ARRAY(SELECT s.service_id FROM jangbu.services AS s WHERE $5::text[] IS NULL OR s.name = ANY ($5::text[]))
            AS services
),
who AS MATERIALIZED (
    SELECT DISTINCT l.account_id
    FROM jangbu.usage_lifetime AS l
    WHERE (cardinality($6::timestamptz[]) > 0 OR cardinality($8::timestamptz[]) > 0)
        AND l.model_id = ANY ((SELECT models FROM meant)::integer[])
        AND l.service_id = ANY ((SELECT services FROM meant)::smallint[])
),
cut AS MATERIALIZED (
    SELECT q.account_id, run.first, run.next
    FROM unnest($12::timestamptz[], $13::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL generate_series(
        date_bin('15 minutes', run.first, '2000-01-01Z'), run.next - interval '1 minute', interval '15 minutes'
    ) AS t (at)
    CROSS JOIN LATERAL (
        SELECT r.account_id
        FROM jangbu.usage_quarters AS r
        WHERE r.at = t.at
            AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
            AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
        OFFSET 0
    ) AS q
    UNION
    SELECT n.account_id, run.first, run.next
    FROM unnest($12::timestamptz[], $13::timestamptz[]) AS run (first, next)
    JOIN jangbu.usage_recent AS n
        ON n.at >= date_bin('15 minutes', run.first, '2000-01-01Z') AND n.at < run.next
    WHERE n.model_id = ANY ((SELECT models FROM meant)::integer[])
        AND n.service_id = ANY ((SELECT services FROM meant)::smallint[])
),
figure AS (
    SELECT
        who.account_id, s.calls, s.prompt, s.candidates, s.thoughts, s.tool, s.cached, s.total,
        s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
    FROM who
    CROSS JOIN LATERAL (
        SELECT
            jangbu.sum(f.calls) AS calls,
            jangbu.sum(f.prompt) AS prompt,
            jangbu.sum(f.candidates) AS candidates,
            jangbu.sum(f.thoughts) AS thoughts,
            jangbu.sum(f.tool) AS tool,
            jangbu.sum(f.cached) AS cached,
            jangbu.sum(f.total) AS total,
            jangbu.sum(f.cost_nano) AS cost_nano,
            jangbu.sum(f.input_cost_nano) AS input_cost_nano,
            jangbu.sum(f.charge_nano) AS charge_nano,
            jangbu.sum(f.unpriced) AS unpriced
        FROM (
            SELECT
                r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
                r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
            FROM unnest($6::timestamptz[], $7::timestamptz[]) AS run (first, next)
            CROSS JOIN LATERAL (
                SELECT
                    r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
                    r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
                FROM jangbu.usage_six_hours AS r
                WHERE r.account_id = who.account_id
                    AND r.at >= run.first AND r.at < run.next
                    AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
                    AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
                OFFSET 0
            ) AS r
            UNION ALL
            SELECT
                r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
                r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
            FROM unnest($8::timestamptz[], $9::timestamptz[]) AS run (first, next)
            CROSS JOIN LATERAL (
                SELECT
                    r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
                    r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
                FROM jangbu.usage_hours AS r
                WHERE r.account_id = who.account_id
                    AND r.at >= run.first AND r.at < run.next
                    AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
                    AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
                OFFSET 0
            ) AS r
        ) AS f
    ) AS s
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($10::timestamptz[], $11::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_quarters AS r
        WHERE r.at >= run.first AND r.at < run.next
            AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
            AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM jangbu.usage_recent AS r
    WHERE r.at >= $14::timestamptz AND r.at < $15::timestamptz
        AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
        AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
        AND NOT EXISTS (
            SELECT
            FROM unnest($12::timestamptz[], $13::timestamptz[]) AS run (first, next)
            WHERE r.at >= date_bin('15 minutes', run.first, '2000-01-01Z') AND r.at < run.next
        )
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM cut
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, 1::bigint AS calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            coalesce(r.cost_nano, 0) AS cost_nano, coalesce(r.input_cost_nano, 0) AS input_cost_nano,
            coalesce(r.charge_nano, 0) AS charge_nano,
            CASE WHEN r.cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced
        FROM jangbu.usage AS r
        WHERE r.account_id = cut.account_id
            AND r.id >= jangbu.uuid7_floor(cut.first) AND r.id < jangbu.uuid7_floor(cut.next)
            AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
            AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
        UNION ALL
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_sealed AS r
        WHERE r.account_id = cut.account_id AND r.at >= cut.first AND r.at < cut.next
            AND r.model_id = ANY ((SELECT models FROM meant)::integer[])
            AND r.service_id = ANY ((SELECT services FROM meant)::smallint[])
        OFFSET 0
    ) AS r
),
summed AS (
    SELECT
        f.account_id,
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
    GROUP BY f.account_id
),
sized AS (
    SELECT
        s.account_id, s.calls, s.input_tokens, s.output_tokens, s.thinking_tokens, s.cached_tokens, s.total_tokens,
        s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced,
        CASE $2::text WHEN 'calls' THEN s.calls WHEN 'total' THEN s.total_tokens ELSE s.cost_nano END AS size
    FROM summed AS s
)
SELECT
    s.account_id, a.user_id, s.calls, s.input_tokens, s.output_tokens, s.thinking_tokens, s.cached_tokens,
    s.total_tokens, s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
FROM sized AS s
CROSS JOIN LATERAL (
    SELECT o.user_id
    FROM jangbu.accounts AS o
    WHERE o.account_id = s.account_id AND o.project = $1::text
    OFFSET 0
) AS a
-- Who used what has no price is one of them, too, wherever it is asked who cost most.
WHERE s.calls > 0
ORDER BY s.size DESC, s.total_tokens DESC, a.user_id COLLATE "C"
LIMIT $3::integer
