-- Says that somebody looks into a finding. One that was acknowledged, or is resolved, is left as it is.
UPDATE jangbu.findings AS f
SET acknowledged_at = clock_timestamp(), acknowledged_by = $4::text
WHERE f.account_id = $1::uuid AND f.usage_id = $2::uuid AND f.kind = $3::text::jangbu.finding_kind
    AND f.resolved_at IS NULL AND f.acknowledged_at IS NULL
RETURNING f.usage_id
