-- What one user used by day and service, newest day first, from the first day to the last one.
SELECT
    r.day,
    s.name AS service,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt + r.tool)::bigint AS prompt_tokens,
    sum(r.candidates + r.thoughts)::bigint AS completion_tokens,
    sum(r.cached)::bigint AS cached_tokens,
    sum(r.total)::bigint AS total_tokens,
    sum(r.cost_nano)::bigint AS cost_nano,
    sum(r.input_cost_nano)::bigint AS input_cost_nano,
    sum(r.charge_nano)::bigint AS charge_nano,
    sum(r.unpriced)::bigint AS unpriced
FROM jangbu.usage_daily AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
WHERE r.account_id = $1::uuid AND r.day BETWEEN $2::date AND $3::date
GROUP BY r.day, s.name
ORDER BY r.day DESC, s.name
