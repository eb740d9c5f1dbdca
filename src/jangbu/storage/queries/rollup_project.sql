-- Carries what is over from the recent figures of everybody to the lasting ones, so many rows at most, and makes what
-- several writers wrote one: what is taken away there is what is added here, so the sum of both is the same at any
-- moment. Rows that a late record is adding to just now are left for the next time, and one does this at a time.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended('jangbu.rollup_project', 0)) AS is_mine
),
chosen AS (
    SELECT r.project, r.at, r.service_id, r.model_id, r.writer
    FROM jangbu.project_recent AS r
    WHERE r.at < $1::timestamptz AND (SELECT is_mine FROM turn)
    ORDER BY r.project, r.at, r.service_id, r.model_id, r.writer
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
),
moved AS (
    DELETE FROM jangbu.project_recent AS r
    USING chosen AS c
    WHERE r.project = c.project AND r.at = c.at AND r.service_id = c.service_id AND r.model_id = c.model_id
        AND r.writer = c.writer
    RETURNING
        r.project, r.at, r.service_id, r.model_id, r.calls, r.prompt, r.candidates, r.thoughts, r.tool, r.cached,
        r.total, r.cost_nano, r.input_cost_nano, r.charge_nano, r.unpriced
),
minutes AS (
    INSERT INTO jangbu.project_minutes AS r (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.project, m.at, m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (project, at, service_id, model_id) DO UPDATE
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
quarters AS (
    INSERT INTO jangbu.project_quarters AS r (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.project, date_bin('15 minutes', m.at, '2000-01-01Z'), m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (project, at, service_id, model_id) DO UPDATE
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
    INSERT INTO jangbu.project_hours AS r (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.project, date_trunc('hour', m.at, 'UTC'), m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (project, at, service_id, model_id) DO UPDATE
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
    INSERT INTO jangbu.project_days AS r (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        m.project, date_trunc('day', m.at, 'UTC'), m.service_id, m.model_id,
        jangbu.sum(m.calls), jangbu.sum(m.prompt), jangbu.sum(m.candidates), jangbu.sum(m.thoughts), jangbu.sum(m.tool),
        jangbu.sum(m.cached), jangbu.sum(m.total), jangbu.sum(m.cost_nano), jangbu.sum(m.input_cost_nano),
        jangbu.sum(m.charge_nano), jangbu.sum(m.unpriced)
    FROM moved AS m
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (project, at, service_id, model_id) DO UPDATE
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
