-- The verification that somebody asked for last. One that nothing renews any more is lost, whether that was noted or not.
SELECT
    id, is_full, started_at, ended_at, since, accounts, records, checked, mismatches, cut,
    CASE WHEN ended_at IS NULL AND runs_until < clock_timestamp() THEN 'lost' ELSE failure END AS failure
FROM jangbu.verification_runs
WHERE project = $1::text
ORDER BY started_at DESC
LIMIT 1
