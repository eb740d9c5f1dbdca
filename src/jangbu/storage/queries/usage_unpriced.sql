-- Calls without a price, a page at a time, oldest first.
SELECT f.account_id, f.usage_id
FROM jangbu.findings AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
WHERE f.kind = 'unpriced' AND f.resolved_at IS NULL AND a.project = $1::text AND f.usage_id > $2::uuid
ORDER BY f.usage_id
LIMIT $3::integer
