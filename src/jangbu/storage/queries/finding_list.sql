-- Findings of a project, newest first, from the one before the last of a page; only those of one kind, state or user where
-- that is asked for. What was held and used is what an overrun was expected and found to be. What is open lies in an index of
-- its own, and those of a user lie together, so that neither is looked for among all that there ever was.
SELECT
    f.usage_id, a.user_id, f.kind, f.detail, f.created_at, f.acknowledged_at, f.acknowledged_by, f.resolved_at,
    f.resolved_by, f.resolution, u.hold_amount, u.total
FROM (
    (
        SELECT o.account_id, o.usage_id, o.kind
        FROM jangbu.findings AS o
        WHERE $4::text IS NULL AND $2::text IN ('open', 'new', 'acknowledged') AND o.resolved_at IS NULL
            AND CASE $2::text
                WHEN 'new' THEN o.acknowledged_at IS NULL
                WHEN 'acknowledged' THEN o.acknowledged_at IS NOT NULL
                ELSE true
            END
            AND ($3::text IS NULL OR o.kind = $3::text::jangbu.finding_kind)
            AND (
                $5::timestamptz IS NULL
                OR (o.created_at, o.usage_id, o.kind) < ($5::timestamptz, $6::uuid, $7::text::jangbu.finding_kind)
            )
            AND o.created_at <= coalesce($5::timestamptz, 'infinity')
            AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = o.account_id) = $1::text
        ORDER BY o.created_at DESC, o.usage_id DESC, o.kind DESC
        LIMIT $8::integer
    )
    UNION ALL
    (
        SELECT o.account_id, o.usage_id, o.kind
        FROM jangbu.findings AS o
        WHERE $4::text IS NULL AND $2::text NOT IN ('open', 'new', 'acknowledged')
            AND ($2::text <> 'resolved' OR o.resolved_at IS NOT NULL)
            AND ($3::text IS NULL OR o.kind = $3::text::jangbu.finding_kind)
            AND (
                $5::timestamptz IS NULL
                OR (o.created_at, o.usage_id, o.kind) < ($5::timestamptz, $6::uuid, $7::text::jangbu.finding_kind)
            )
            AND o.created_at <= coalesce($5::timestamptz, 'infinity')
            AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = o.account_id) = $1::text
        ORDER BY o.created_at DESC, o.usage_id DESC, o.kind DESC
        LIMIT $8::integer
    )
    UNION ALL
    (
        SELECT o.account_id, o.usage_id, o.kind
        FROM jangbu.accounts AS n
        JOIN jangbu.findings AS o ON o.account_id = n.account_id
        WHERE n.project = $1::text AND n.user_id = $4::text
            AND CASE $2::text
                WHEN 'open' THEN o.resolved_at IS NULL
                WHEN 'new' THEN o.resolved_at IS NULL AND o.acknowledged_at IS NULL
                WHEN 'acknowledged' THEN o.resolved_at IS NULL AND o.acknowledged_at IS NOT NULL
                WHEN 'resolved' THEN o.resolved_at IS NOT NULL
                ELSE true
            END
            AND ($3::text IS NULL OR o.kind = $3::text::jangbu.finding_kind)
            AND (
                $5::timestamptz IS NULL
                OR (o.created_at, o.usage_id, o.kind) < ($5::timestamptz, $6::uuid, $7::text::jangbu.finding_kind)
            )
        ORDER BY o.created_at DESC, o.usage_id DESC, o.kind DESC
        LIMIT $8::integer
    )
) AS w
JOIN jangbu.findings AS f ON f.account_id = w.account_id AND f.usage_id = w.usage_id AND f.kind = w.kind
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
LEFT JOIN jangbu.usage AS u ON u.account_id = f.account_id AND u.id = f.usage_id
ORDER BY f.created_at DESC, f.usage_id DESC, f.kind DESC
LIMIT $8::integer
