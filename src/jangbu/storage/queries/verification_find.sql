-- What was verified last of a project, by the database's clock.
SELECT
    verified_to, full_at, started_at, ended_at, is_full, accounts, records, mismatches, full_mismatches,
    extract(epoch FROM clock_timestamp() - ended_at)::bigint AS age_seconds
FROM jangbu.verifications
WHERE project = $1::text AND ended_at IS NOT NULL
