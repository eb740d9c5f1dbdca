-- The open findings of a project, newest first.
SELECT f.usage_id, a.user_id, f.kind, f.detail, f.created_at
FROM jangbu.findings AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
WHERE f.resolved_at IS NULL AND a.project = $1::text
ORDER BY f.created_at DESC, f.usage_id, f.kind
LIMIT $2::integer
