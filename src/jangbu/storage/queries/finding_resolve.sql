-- Resolves a finding by somebody's word. One that is resolved is left as it is.
UPDATE jangbu.findings AS f
SET resolved_at = clock_timestamp(), resolved_by = $4::text, resolution = $5::text
WHERE f.account_id = $1::uuid AND f.usage_id = $2::uuid AND f.kind = $3::text::jangbu.finding_kind
    AND f.resolved_at IS NULL
RETURNING f.usage_id
