-- How large a user's latest calls of a window were, up to so many: half and 95% of them were of so many tokens at most.
-- By service and model, and by each of them alone; these are read from the records themselves.
SELECT
    v.name AS service,
    m.name AS model,
    count(*) AS calls,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY u.total) AS half,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY u.total) AS most
FROM (
    SELECT r.service_id, r.model_id, r.total
    FROM jangbu.usage AS r
    WHERE r.account_id = $1::uuid
        AND r.id >= jangbu.uuid7_floor($2::timestamptz) AND r.id < jangbu.uuid7_floor($3::timestamptz)
    ORDER BY r.id DESC
    LIMIT $4::integer
) AS u
JOIN jangbu.services AS v ON v.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
GROUP BY GROUPING SETS ((v.name, m.name), (v.name), (m.name))
