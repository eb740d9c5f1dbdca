-- How large a user's calls of a window were, by service and model: half and 95% of them were of so many tokens at most.
-- Of a user who made few calls then this reads the records themselves.
SELECT
    v.name AS service,
    m.name AS model,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY u.total) AS half,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY u.total) AS most
FROM jangbu.usage AS u
JOIN jangbu.services AS v ON v.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE u.account_id = $1::uuid
    AND u.id >= jangbu.uuid7_floor($2::timestamptz) AND u.id < jangbu.uuid7_floor($3::timestamptz)
GROUP BY v.name, m.name
