-- One finding, whatever became of it, with what the list shows of it.
SELECT
    f.usage_id, a.user_id, f.kind, f.detail, f.created_at, f.acknowledged_at, f.acknowledged_by, f.resolved_at,
    f.resolved_by, f.resolution, u.hold_amount, u.total
FROM jangbu.findings AS f
JOIN jangbu.accounts AS a ON a.account_id = f.account_id
LEFT JOIN jangbu.usage AS u ON u.account_id = f.account_id AND u.id = f.usage_id
WHERE f.account_id = $1::uuid AND f.usage_id = $2::uuid AND f.kind = $3::text::jangbu.finding_kind
