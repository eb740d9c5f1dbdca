-- All that everybody in a project used from the day of a moment on (UTC), by service and model; without one, ever.
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
        d.service_id, d.model_id,
        d.calls, d.prompt, d.candidates, d.thoughts, d.tool, d.cached, d.total, d.cost_nano, d.input_cost_nano,
        d.charge_nano, d.unpriced
    FROM jangbu.project_days AS d
    WHERE d.project = $1::text AND d.at >= coalesce(date_trunc('day', $2::timestamptz, 'UTC'), '-infinity')
    UNION ALL
    SELECT
        n.service_id, n.model_id,
        n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
        n.charge_nano, n.unpriced
    FROM jangbu.project_recent AS n
    WHERE n.project = $1::text AND n.at >= coalesce(date_trunc('day', $2::timestamptz, 'UTC'), '-infinity')
) AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
JOIN jangbu.models AS m ON m.model_id = r.model_id
GROUP BY s.name, m.name
ORDER BY total_tokens DESC, s.name, m.name
