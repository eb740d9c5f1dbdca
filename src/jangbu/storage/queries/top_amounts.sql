-- What each of some users of a project used in a window, from the longest rollups that lie in it, from those that are
-- recent, and from the records of quarters of an hour that the window cuts. These and what retention sealed of them are
-- read apart: a view of both works out of each record when it was made, which takes longer than to read it.
WITH figure AS (
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN unnest($3::date[], $4::date[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_days AS r
        WHERE r.account_id = who.account_id
            AND r.day >= run.first AND r.day < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN unnest($5::timestamptz[], $6::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_six_hours AS r
        WHERE r.account_id = who.account_id
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN unnest($7::timestamptz[], $8::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_hours AS r
        WHERE r.account_id = who.account_id
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN unnest($9::timestamptz[], $10::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_quarters AS r
        WHERE r.account_id = who.account_id
            AND r.at >= run.first AND r.at < run.next
        OFFSET 0
    ) AS r
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM jangbu.usage_recent AS r
    WHERE r.account_id = ANY ($1::uuid[]) AND r.at >= $13::timestamptz AND r.at < $14::timestamptz
        AND NOT EXISTS (
            SELECT
            FROM unnest($11::timestamptz[], $12::timestamptz[]) AS run (first, next)
            WHERE r.at >= date_bin('15 minutes', run.first, '2000-01-01Z') AND r.at < run.next
        )
    UNION ALL
    SELECT
        r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
        r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
    FROM unnest($1::uuid[]) AS who (account_id)
    CROSS JOIN unnest($11::timestamptz[], $12::timestamptz[]) AS run (first, next)
    CROSS JOIN LATERAL (
        SELECT
            r.account_id, 1::bigint AS calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            coalesce(r.cost_nano, 0) AS cost_nano, coalesce(r.input_cost_nano, 0) AS input_cost_nano,
            coalesce(r.charge_nano, 0) AS charge_nano,
            CASE WHEN r.cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced
        FROM jangbu.usage AS r
        WHERE r.account_id = who.account_id
            AND r.id >= jangbu.uuid7_floor(run.first) AND r.id < jangbu.uuid7_floor(run.next)
        UNION ALL
        SELECT
            r.account_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached, r.total,
            r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
        FROM jangbu.usage_sealed AS r
        WHERE r.account_id = who.account_id AND r.at >= run.first AND r.at < run.next
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
)
SELECT
    s.account_id, a.user_id, s.calls, s.input_tokens, s.output_tokens, s.thinking_tokens, s.cached_tokens,
    s.total_tokens, s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
FROM summed AS s
-- One by one: to read all accounts of the project for these few takes longer the more there are.
CROSS JOIN LATERAL (
    SELECT o.user_id
    FROM jangbu.accounts AS o
    WHERE o.account_id = s.account_id AND o.project = $2::text
    OFFSET 0
) AS a
