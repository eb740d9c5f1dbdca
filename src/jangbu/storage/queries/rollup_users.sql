-- Carries what is over from the recent figures of users to the lasting ones, so many rows at most: what is taken away
-- there is what is added here, so the sum of both is the same at any moment. Rows that a late record is adding to just
-- now are left for the next time, and one does this at a time: nobody waits for a row of the lasting figures.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended('jangbu.rollup_users', 0)) AS is_mine
),
chosen AS (
    SELECT r.account_id, r.at, r.service_id, r.model_id
    FROM jangbu.usage_recent AS r
    WHERE r.at < $1::timestamptz AND (SELECT is_mine FROM turn)
    ORDER BY r.account_id, r.at, r.service_id, r.model_id
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
moved AS (
    DELETE FROM jangbu.usage_recent AS r
    USING chosen AS c
    WHERE r.account_id = c.account_id AND r.at = c.at AND r.service_id = c.service_id AND r.model_id = c.model_id
    RETURNING
        r.account_id, r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached,
        r.total, r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
),
quarters AS (
    INSERT INTO jangbu.usage_quarters AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.account_id, m.at, m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
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
hours AS (
    INSERT INTO jangbu.usage_hours AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.account_id, date_trunc('hour', m.at, 'UTC'), m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
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
six_hours AS (
    INSERT INTO jangbu.usage_six_hours AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.account_id, date_bin('6 hours', m.at, '2000-01-01Z'), m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
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
days AS (
    INSERT INTO jangbu.usage_days AS r (
        account_id, day, project, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced, calls_class, total_class, cost_class
    )
    SELECT
        d.account_id, d.day, a.project, d.calls, d.prompt, d.candidates, d.thoughts, d.tool, d.cached, d.total,
        d.cost_nano, d.input_cost_nano, d.charge_nano, d.unpriced, jangbu.class_of_size(d.calls),
        jangbu.class_of_size(d.total), jangbu.class_of_size(d.cost_nano)
    FROM (
        SELECT
            m.account_id, (m.at AT TIME ZONE 'UTC')::date AS day,
            jangbu.sum(m.calls) AS calls, jangbu.sum(m.prompt) AS prompt, jangbu.sum(m.candidates) AS candidates,
            jangbu.sum(m.thoughts) AS thoughts, jangbu.sum(m.tool) AS tool, jangbu.sum(m.cached) AS cached,
            jangbu.sum(m.total) AS total, jangbu.sum(m.cost_nano) AS cost_nano,
            jangbu.sum(m.input_cost_nano) AS input_cost_nano, jangbu.sum(m.charge_nano) AS charge_nano,
            jangbu.sum(m.unpriced) AS unpriced
        FROM moved AS m
        GROUP BY m.account_id, 2
    ) AS d
    JOIN jangbu.accounts AS a ON a.account_id = d.account_id
    ORDER BY d.account_id, d.day
    ON CONFLICT (account_id, day) DO UPDATE
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
        unpriced = r.unpriced + excluded.unpriced,
        calls_class = jangbu.class_of_size(r.calls + excluded.calls),
        total_class = jangbu.class_of_size(r.total + excluded.total),
        cost_class = jangbu.class_of_size(r.cost_nano + excluded.cost_nano)
),
totals AS (
    INSERT INTO jangbu.usage_lifetime AS r (
        account_id, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.account_id, m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
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
)
SELECT count(*) AS rows FROM moved
