-- What one user used by day and service, newest day first, from the first day to the last one; days are those of UTC.
SELECT
    (r.at AT TIME ZONE 'UTC')::date AS day,
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
FROM (
    SELECT
        x.at, x.service_id,
        x.calls, x.prompt, x.candidates, x.thoughts, x.tool, x.cached, x.total, x.cost_nano, x.input_cost_nano,
        x.charge_nano, x.unpriced
    FROM jangbu.usage_six_hours AS x
    WHERE x.account_id = $1::uuid
        AND x.at >= $2::date::timestamp AT TIME ZONE 'UTC'
        AND x.at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
    UNION ALL
    SELECT
        n.at, n.service_id,
        n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
        n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
    WHERE n.account_id = $1::uuid
        AND n.at >= $2::date::timestamp AT TIME ZONE 'UTC'
        AND n.at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
) AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
GROUP BY 1, s.name
ORDER BY 1 DESC, s.name
