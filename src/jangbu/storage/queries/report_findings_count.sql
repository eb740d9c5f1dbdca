-- How many open findings of each kind a project has.
SELECT f.kind, count(*) AS findings
FROM jangbu.findings AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
WHERE f.resolved_at IS NULL AND a.project = $1::text
GROUP BY f.kind
ORDER BY f.kind
