-- The open findings of a project, newest first. The project is looked up one by one, so that a walk down the index of what is
-- open ends at the limit.
SELECT f.usage_id, a.user_id, f.kind, f.detail, f.created_at
FROM (
    SELECT o.account_id, o.usage_id, o.kind, o.detail, o.created_at
    FROM jangbu.findings AS o
    WHERE o.resolved_at IS NULL
        AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = o.account_id) = $1::text
    ORDER BY o.created_at DESC, o.usage_id, o.kind
    LIMIT $2::integer
) AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
ORDER BY f.created_at DESC, f.usage_id, f.kind
