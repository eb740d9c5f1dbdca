-- How many accounts and records there are to check, by the rollups.
SELECT
    count(DISTINCT a.account_id) AS accounts,
    coalesce(sum(t.calls), 0)::bigint AS records
FROM jangbu.accounts AS a
LEFT JOIN jangbu.usage_total AS t ON t.account_id = a.account_id
WHERE a.project = $1::text
