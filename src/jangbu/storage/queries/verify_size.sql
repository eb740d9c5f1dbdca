-- How many accounts and records there are to check, by the rollups; what was dropped is no record any more.
SELECT
    count(*) AS accounts,
    coalesce(sum(t.calls), 0)::bigint - coalesce(sum(s.calls), 0)::bigint AS records
FROM jangbu.accounts AS a
LEFT JOIN (SELECT account_id, sum(calls) AS calls FROM jangbu.usage_total GROUP BY account_id) AS t
    ON t.account_id = a.account_id
LEFT JOIN (SELECT account_id, sum(calls) AS calls FROM jangbu.usage_sealed GROUP BY account_id) AS s
    ON s.account_id = a.account_id
WHERE a.project = $1::text
