-- Notes how a verification ended. The book is in order to a moment only where nothing differed.
INSERT INTO jangbu.verifications AS v (
    project, verified_to, full_at, started_at, ended_at, is_full, accounts, records, mismatches, full_mismatches
)
VALUES (
    $1::text,
    CASE WHEN $7::bigint = 0 THEN $2::timestamptz END,
    CASE WHEN $4::boolean THEN $3::timestamptz END,
    $3::timestamptz, clock_timestamp(), $4::boolean, $5::bigint, $6::bigint, $7::bigint,
    CASE WHEN $4::boolean THEN $7::bigint ELSE 0 END
)
ON CONFLICT (project) DO UPDATE
SET verified_to = coalesce(excluded.verified_to, v.verified_to),
    full_at = coalesce(excluded.full_at, v.full_at),
    started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    is_full = excluded.is_full,
    accounts = excluded.accounts,
    records = excluded.records,
    mismatches = excluded.mismatches,
    full_mismatches = CASE WHEN excluded.is_full THEN excluded.mismatches ELSE v.full_mismatches END
