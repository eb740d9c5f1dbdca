-- What everybody in a project used by day and service, newest day first, from the first day to the last one; days are
-- those of UTC.
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
        d.at, d.service_id,
        d.calls, d.prompt, d.candidates, d.thoughts, d.tool, d.cached, d.total, d.cost_nano, d.input_cost_nano,
        d.charge_nano, d.unpriced
    FROM jangbu.project_days AS d
    WHERE d.project = $1::text
        AND d.at >= $2::date::timestamp AT TIME ZONE 'UTC'
        AND d.at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
    UNION ALL
    SELECT
        n.at, n.service_id,
        n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
        n.charge_nano, n.unpriced
    FROM jangbu.project_recent AS n
    WHERE n.project = $1::text
        AND n.at >= $2::date::timestamp AT TIME ZONE 'UTC'
        AND n.at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
) AS r
JOIN jangbu.services AS s ON s.service_id = r.service_id
GROUP BY 1, s.name
ORDER BY 1 DESC, s.name
