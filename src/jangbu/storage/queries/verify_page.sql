-- A page of a project's accounts, in their order, each with whether anything of it moved since it was verified: entries
-- after the last one that was, or calls since that day.
SELECT
    a.account_id,
    EXISTS (
        SELECT FROM jangbu.balances AS b
        LEFT JOIN jangbu.verified_balances AS v ON v.account_id = b.account_id AND v.asset = b.asset
        WHERE b.account_id = a.account_id AND b.version IS DISTINCT FROM v.seq
    )
    OR EXISTS (
        SELECT FROM jangbu.usage_by_quarter AS r
        WHERE r.account_id = a.account_id AND r.at >= $3::date::timestamp AT TIME ZONE 'UTC'
    ) AS has_moved
FROM jangbu.accounts AS a
WHERE a.project = $1::text AND a.account_id > $2::uuid
ORDER BY a.account_id
LIMIT $4::integer
