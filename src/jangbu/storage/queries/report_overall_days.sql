-- What everybody in a project used by day and service, newest day first, from the first day to the last one; days are
-- those of UTC.
SELECT
    (r.hour AT TIME ZONE 'UTC')::date AS day,
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
FROM jangbu.usage_hourly AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
WHERE r.project = $1::text
    AND r.hour >= $2::date::timestamp AT TIME ZONE 'UTC'
    AND r.hour < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY 1, s.name
ORDER BY 1 DESC, s.name
