-- Findings of a project, newest first, from the one before the last of a page; only those of one kind, state or user where
-- that is asked for. What was held and used is what an overrun was expected and found to be.
SELECT
    f.usage_id, a.user_id, f.kind, f.detail, f.created_at, f.acknowledged_at, f.acknowledged_by, f.resolved_at,
    f.resolved_by, f.resolution, u.hold_amount, u.total
FROM jangbu.findings AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
LEFT JOIN jangbu.usage AS u ON u.account_id = f.account_id AND u.id = f.usage_id
WHERE a.project = $1::text
    AND CASE $2::text
        WHEN 'open' THEN f.resolved_at IS NULL
        WHEN 'new' THEN f.resolved_at IS NULL AND f.acknowledged_at IS NULL
        WHEN 'acknowledged' THEN f.resolved_at IS NULL AND f.acknowledged_at IS NOT NULL
        WHEN 'resolved' THEN f.resolved_at IS NOT NULL
        ELSE true
    END
    AND ($3::text IS NULL OR f.kind = $3::text::jangbu.finding_kind)
    AND ($4::text IS NULL OR a.user_id = $4::text)
    AND (
        $5::timestamptz IS NULL
        OR (f.created_at, f.usage_id, f.kind) < ($5::timestamptz, $6::uuid, $7::text::jangbu.finding_kind)
    )
ORDER BY f.created_at DESC, f.usage_id DESC, f.kind DESC
LIMIT $8::integer
