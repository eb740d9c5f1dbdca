-- All that one user ever used, by service and model.
SELECT
    s.name AS service,
    m.name AS model,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt + r.tool)::bigint AS prompt_tokens,
    sum(r.candidates + r.thoughts)::bigint AS completion_tokens,
    sum(r.cached)::bigint AS cached_tokens,
    sum(r.total)::bigint AS total_tokens,
    sum(r.cost_nano)::bigint AS cost_nano,
    sum(r.input_cost_nano)::bigint AS input_cost_nano,
    sum(r.charge_nano)::bigint AS charge_nano,
    sum(r.unpriced)::bigint AS unpriced
FROM (
    SELECT
        t.service_id, t.model_id,
        t.calls, t.prompt, t.candidates, t.thoughts, t.tool, t.cached, t.total, t.cost_nano, t.input_cost_nano,
        t.charge_nano, t.unpriced
    FROM jangbu.usage_lifetime AS t
    WHERE t.account_id = $1::uuid
    UNION ALL
    SELECT
        n.service_id, n.model_id,
        n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
        n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
    WHERE n.account_id = $1::uuid
) AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
JOIN jangbu.models AS m ON m.model_id = r.model_id
GROUP BY s.name, m.name
ORDER BY total_tokens DESC, s.name, m.name
