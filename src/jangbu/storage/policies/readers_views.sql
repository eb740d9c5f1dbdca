-- The views that name what calls cost, so that `SELECT *` from them works for whoever may not read that: it is null then,
-- as at the API. A view of security_invoker would be closed to them whole, for all that it names. These read the records
-- with their owner's rights, but only of the accounts that whoever asks sees by their own rights and policies; and they are
-- barriers, so that no condition of theirs looks at a row before that is decided.
CREATE OR REPLACE VIEW jangbu.visible_accounts WITH (security_invoker = true) AS
SELECT a.account_id, a.user_id
FROM jangbu.accounts AS a;

CREATE OR REPLACE VIEW jangbu.token_usage WITH (security_barrier = true) AS
SELECT
    u.id,
    a.user_id,
    s.name AS service_type,
    m.name AS model_name,
    u.prompt + u.tool AS prompt_tokens,
    u.candidates + u.thoughts AS completion_tokens,
    u.total AS total_tokens,
    -- Asked once a statement and not once a row.
    CASE WHEN (SELECT has_column_privilege('jangbu.usage', 'cost_nano', 'SELECT'))
        THEN u.cost_nano::numeric / 1000000000 END AS api_cost,
    jangbu.uuid7_time(u.id) AS created_at,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage', 'metadata', 'SELECT')) THEN u.metadata END AS metadata
FROM jangbu.usage AS u
JOIN jangbu.visible_accounts AS a USING (account_id)
JOIN jangbu.services AS s USING (service_id)
JOIN jangbu.models AS m USING (model_id);

CREATE OR REPLACE VIEW jangbu.usage_total WITH (security_barrier = true) AS
SELECT
    r.account_id,
    r.service_id,
    r.model_id,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt)::bigint AS prompt,
    sum(r.candidates)::bigint AS candidates,
    sum(r.thoughts)::bigint AS thoughts,
    sum(r.tool)::bigint AS tool,
    sum(r.cached)::bigint AS cached,
    sum(r.total)::bigint AS total,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_lifetime', 'cost_nano', 'SELECT'))
        THEN sum(r.cost_nano)::bigint END AS cost_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_lifetime', 'input_cost_nano', 'SELECT'))
        THEN sum(r.input_cost_nano)::bigint END AS input_cost_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_lifetime', 'charge_nano', 'SELECT'))
        THEN sum(r.charge_nano)::bigint END AS charge_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_lifetime', 'unpriced', 'SELECT'))
        THEN sum(r.unpriced)::bigint END AS unpriced
FROM (
    SELECT
        l.account_id, l.service_id, l.model_id, l.calls, l.prompt, l.candidates, l.thoughts, l.tool, l.cached, l.total,
        l.cost_nano, l.input_cost_nano, l.charge_nano, l.unpriced
    FROM jangbu.usage_lifetime AS l
    UNION ALL
    SELECT
        n.account_id, n.service_id, n.model_id, n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total,
        n.cost_nano, n.input_cost_nano, n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
) AS r
JOIN jangbu.visible_accounts AS a USING (account_id)
GROUP BY r.account_id, r.service_id, r.model_id;

CREATE OR REPLACE VIEW jangbu.usage_daily WITH (security_barrier = true) AS
SELECT
    r.account_id,
    (r.at AT TIME ZONE 'UTC')::date AS day,
    r.service_id,
    r.model_id,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt)::bigint AS prompt,
    sum(r.candidates)::bigint AS candidates,
    sum(r.thoughts)::bigint AS thoughts,
    sum(r.tool)::bigint AS tool,
    sum(r.cached)::bigint AS cached,
    sum(r.total)::bigint AS total,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_hours', 'cost_nano', 'SELECT'))
        THEN sum(r.cost_nano)::bigint END AS cost_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_hours', 'input_cost_nano', 'SELECT'))
        THEN sum(r.input_cost_nano)::bigint END AS input_cost_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_hours', 'charge_nano', 'SELECT'))
        THEN sum(r.charge_nano)::bigint END AS charge_nano,
    CASE WHEN (SELECT has_column_privilege('jangbu.usage_hours', 'unpriced', 'SELECT'))
        THEN sum(r.unpriced)::bigint END AS unpriced
FROM (
    SELECT
        h.account_id, h.at, h.service_id, h.model_id, h.calls, h.prompt, h.candidates, h.thoughts, h.tool, h.cached, h.total,
        h.cost_nano, h.input_cost_nano, h.charge_nano, h.unpriced
    FROM jangbu.usage_hours AS h
    UNION ALL
    SELECT
        n.account_id, n.at, n.service_id, n.model_id, n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total,
        n.cost_nano, n.input_cost_nano, n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
) AS r
JOIN jangbu.visible_accounts AS a USING (account_id)
GROUP BY r.account_id, day, r.service_id, r.model_id;

