-- Whether there is a finding, whatever became of it.
SELECT EXISTS (
    SELECT
    FROM jangbu.findings AS f
    WHERE f.account_id = $1::uuid AND f.usage_id = $2::uuid AND f.kind = $3::text::jangbu.finding_kind
)
