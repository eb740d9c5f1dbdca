-- How many open findings of each kind a project has: counted in the index of what is open. Whose account it is is looked up
-- only where there are other projects.
WITH sole AS MATERIALIZED (
    SELECT
        NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project < $1::text)
        AND NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project > $1::text) AS is_alone
)
SELECT f.kind, count(*) AS findings
FROM jangbu.findings AS f
WHERE f.resolved_at IS NULL
    AND (
        (SELECT o.is_alone FROM sole AS o)
        OR (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = f.account_id) = $1::text
    )
GROUP BY f.kind
ORDER BY f.kind
