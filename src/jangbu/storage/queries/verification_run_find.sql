-- A verification that somebody asked for. One that nothing renews any more is lost, whether that was noted or not.
SELECT
    id, is_full, started_at, ended_at, since, accounts, records, checked, mismatches, cut,
    CASE WHEN ended_at IS NULL AND runs_until < clock_timestamp() THEN 'lost' ELSE failure END AS failure
FROM jangbu.verification_runs
WHERE project = $1::text AND id = $2::uuid
