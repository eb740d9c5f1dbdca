-- The rows of one day of UTC, and all that follows from them, as the recorder and the sweeper would have left it: each
-- user's calls of the day are one posting. Everything of a row is drawn from its number, so a day is the same again.
--
-- $1, $2: the first number, and the one after the last. $3, $4: when the day begins, and how many seconds of it have
-- passed. $5: how many users there are. $6, $7: the moments before which rollups of users and of everybody last.
WITH drawn AS MATERIALIZED (
    SELECT
        g.n,
        floor(exp(c.who * ln($5::integer + 1)))::integer AS rank,
        $3::timestamptz + date_trunc(
            'milliseconds', make_interval(secs => $4::float8 * (g.f - 0.12 * sin(2 * pi() * g.f)))
        ) AS at,
        c.what,
        (20 + floor(30 * exp(5 * c.size)))::bigint AS prompt,
        (10 + floor(10 * exp(5 * c.answer)))::bigint AS candidates,
        c.other
    FROM (
        SELECT n, (n - $1::bigint)::float8 / ($2::bigint - $1::bigint) AS f
        FROM generate_series($1::bigint, $2::bigint - 1) AS n
    ) AS g
    CROSS JOIN LATERAL (
        SELECT
            seed.uniform(g.n, 1) AS who,
            seed.uniform(g.n, 2) AS what,
            seed.uniform(g.n, 3) AS size,
            seed.uniform(g.n, 4) AS answer,
            seed.uniform(g.n, 5) AS other
    ) AS c
),
call AS MATERIALIZED (
    SELECT
        u.account_id, seed.id_of(d.at, d.n) AS id, d.at, u.version, k.service_id, k.model_id, k.price_version,
        x.prompt, x.candidates, x.thoughts, x.tool, x.cached, x.total,
        (x.prompt - x.cached + x.tool) * k.input + x.cached * k.cached_input AS input_cost_nano,
        (x.prompt - x.cached + x.tool) * k.input + x.cached * k.cached_input + (x.candidates + x.thoughts) * k.output
            AS cost_nano
    FROM drawn AS d
    JOIN seed.users AS u ON u.rank = d.rank
    JOIN seed.kinds AS k ON d.what >= k.first AND d.what < k.next
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN k.thinks THEN (d.candidates * 10 * d.other)::bigint ELSE 0 END AS thoughts,
            CASE WHEN d.other < 0.02 THEN 40 ELSE 0 END::bigint AS tool,
            CASE WHEN d.other > 0.8 THEN d.prompt / 2 ELSE 0 END AS cached
    ) AS y
    CROSS JOIN LATERAL (
        SELECT
            d.prompt, d.candidates, y.thoughts, y.tool, y.cached,
            d.prompt + d.candidates + y.thoughts + y.tool AS total
    ) AS x
),
recorded AS (
    INSERT INTO jangbu.usage (
        account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool,
        cached, total, cost_nano, input_cost_nano, charge_nano, price_version, posting, raw, recorded_at
    )
    SELECT
        account_id, id, service_id, model_id, 'generate_content', 'gemini_api', 'standard', 'reported', prompt,
        candidates, thoughts, tool, cached, total, cost_nano, input_cost_nano, cost_nano, price_version, version,
        format(
            '{"usage": [{"promptTokenCount": %s, "candidatesTokenCount": %s, "thoughtsTokenCount": %s, '
                '"toolUsePromptTokenCount": %s, "cachedContentTokenCount": %s, "totalTokenCount": %s}]}',
            prompt, candidates, thoughts, tool, cached, total
        )::jsonb,
        at
    FROM call
    ORDER BY at
),
found AS (
    INSERT INTO jangbu.findings (account_id, usage_id, kind, detail, created_at)
    SELECT account_id, id, 'unpriced', 'no price is known for what was used', at
    FROM call
    WHERE cost_nano IS NULL
),
moved AS (
    UPDATE seed.users AS u
    SET version = u.version + 1,
        used = u.used + c.total,
        seen_at = c.at
    FROM (SELECT account_id, sum(total)::bigint AS total, max(at) AS at FROM call GROUP BY account_id) AS c
    WHERE u.account_id = c.account_id
    RETURNING u.account_id, u.version, c.total, u.granted - u.used AS balance, c.at
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, posting, created_at)
    SELECT account_id, 1, version, 'usage', -total, balance, version - 1, at
    FROM moved
),
quarter AS MATERIALIZED (
    SELECT
        account_id, date_bin('15 minutes', at, '2000-01-01Z') AS at, service_id, model_id, count(*) AS calls,
        sum(prompt)::bigint AS prompt, sum(candidates)::bigint AS candidates, sum(thoughts)::bigint AS thoughts,
        sum(tool)::bigint AS tool, sum(cached)::bigint AS cached, sum(total)::bigint AS total,
        coalesce(sum(cost_nano), 0)::bigint AS cost_nano, coalesce(sum(input_cost_nano), 0)::bigint AS input_cost_nano,
        coalesce(sum(cost_nano), 0)::bigint AS charge_nano, count(*) FILTER (WHERE cost_nano IS NULL) AS unpriced
    FROM call
    GROUP BY 1, 2, 3, 4
),
minute AS MATERIALIZED (
    SELECT
        p.name AS project, date_trunc('minute', at, 'UTC') AS at, service_id, model_id, count(*) AS calls,
        sum(prompt)::bigint AS prompt, sum(candidates)::bigint AS candidates, sum(thoughts)::bigint AS thoughts,
        sum(tool)::bigint AS tool, sum(cached)::bigint AS cached, sum(total)::bigint AS total,
        coalesce(sum(cost_nano), 0)::bigint AS cost_nano, coalesce(sum(input_cost_nano), 0)::bigint AS input_cost_nano,
        coalesce(sum(cost_nano), 0)::bigint AS charge_nano, count(*) FILTER (WHERE cost_nano IS NULL) AS unpriced
    FROM call
    CROSS JOIN seed.project AS p
    GROUP BY 1, 2, 3, 4
),
quarters AS (
    INSERT INTO jangbu.usage_quarters (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, at, service_id, model_id,
        calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    FROM quarter
    WHERE at < $6::timestamptz
    ORDER BY date_bin('6 hours', at, '2000-01-01Z'), account_id, at, service_id, model_id
),
hours AS (
    INSERT INTO jangbu.usage_hours (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, date_trunc('hour', at, 'UTC'), service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM quarter
    WHERE at < $6::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY date_bin('6 hours', date_trunc('hour', at, 'UTC'), '2000-01-01Z'), 1, 2, 3, 4
),
six_hours AS (
    INSERT INTO jangbu.usage_six_hours (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, date_bin('6 hours', at, '2000-01-01Z'), service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM quarter
    WHERE at < $6::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY 2, 1, 3, 4
),
days AS (
    INSERT INTO jangbu.usage_days (
        account_id, day, project, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced, calls_class, total_class,
        cost_class
    )
    SELECT
        account_id, (at AT TIME ZONE 'UTC')::date AS day, p.name,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint,
        jangbu.class_of_size(sum(calls)::bigint), jangbu.class_of_size(sum(total)::bigint),
        jangbu.class_of_size(sum(cost_nano)::bigint)
    FROM quarter CROSS JOIN seed.project AS p
    WHERE at < $6::timestamptz
    GROUP BY 1, 2, 3
    ORDER BY 1
),
lifetime AS (
    INSERT INTO jangbu.usage_lifetime AS r (
        account_id, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM quarter
    WHERE at < $6::timestamptz
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    ON CONFLICT (account_id, service_id, model_id) DO UPDATE
    SET calls = r.calls + excluded.calls,
        prompt = r.prompt + excluded.prompt,
        candidates = r.candidates + excluded.candidates,
        thoughts = r.thoughts + excluded.thoughts,
        tool = r.tool + excluded.tool,
        cached = r.cached + excluded.cached,
        total = r.total + excluded.total,
        cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced
),
recent AS (
    INSERT INTO jangbu.usage_recent (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    FROM quarter
    WHERE at >= $6::timestamptz
),
project_minutes AS (
    INSERT INTO jangbu.project_minutes (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        project, at, service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM minute
    WHERE at < $7::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
),
project_quarters AS (
    INSERT INTO jangbu.project_quarters (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        project, date_bin('15 minutes', at, '2000-01-01Z'), service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM minute
    WHERE at < $7::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
),
project_hours AS (
    INSERT INTO jangbu.project_hours (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        project, date_trunc('hour', at, 'UTC'), service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM minute
    WHERE at < $7::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
),
project_days AS (
    INSERT INTO jangbu.project_days (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        project, date_trunc('day', at, 'UTC'), service_id, model_id,
        sum(calls)::bigint, sum(prompt)::bigint, sum(candidates)::bigint, sum(thoughts)::bigint, sum(tool)::bigint,
        sum(cached)::bigint, sum(total)::bigint, sum(cost_nano)::bigint, sum(input_cost_nano)::bigint,
        sum(charge_nano)::bigint, sum(unpriced)::bigint
    FROM minute
    WHERE at < $7::timestamptz
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
),
project_recent AS (
    INSERT INTO jangbu.project_recent (
        project, at, service_id, model_id, writer, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        project, at, service_id, model_id, 0, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    FROM minute
    WHERE at >= $7::timestamptz
)
SELECT count(*) FROM call
