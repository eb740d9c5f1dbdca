-- All that everybody in a project used since a moment, by service and model; without a moment, ever.
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
FROM jangbu.usage_hourly AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
JOIN jangbu.models AS m ON m.model_id = r.model_id
WHERE r.project = $1::text AND r.hour >= coalesce($2::timestamptz, '-infinity')
GROUP BY s.name, m.name
ORDER BY total_tokens DESC, s.name, m.name
