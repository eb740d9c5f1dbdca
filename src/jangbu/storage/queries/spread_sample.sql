-- How large the calls of a window were, of a project's, in a sample of so many of a million pages of their months: half
-- and 95% of them were of so many tokens at most. By service and model, and by each of them alone. The sample is the same
-- as long as the records are, so that what is read again does not waver.
SELECT
    v.name AS service,
    m.name AS model,
    count(*) AS calls,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY u.total) AS half,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY u.total) AS most
FROM jangbu.usage AS u TABLESAMPLE SYSTEM ($4::integer / 10000.0::real) REPEATABLE (1)
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
JOIN jangbu.services AS v ON v.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE a.project = $1::text
    AND u.id >= (SELECT jangbu.uuid7_floor($2::timestamptz))
    AND u.id < (SELECT jangbu.uuid7_floor($3::timestamptz))
GROUP BY GROUPING SETS ((v.name, m.name), (v.name), (m.name))
