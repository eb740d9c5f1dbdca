-- Writes down how a verification ended, once.
UPDATE jangbu.verification_runs
SET ended_at = clock_timestamp(),
    failure = $2::text,
    since = $3::timestamptz,
    accounts = $4::bigint,
    records = $5::bigint,
    checked = $6::text[],
    mismatches = $7::text::jsonb,
    cut = $8::text[]
WHERE id = $1::uuid AND ended_at IS NULL
