-- Goes on with a verification; no row comes back where it counts as lost meanwhile.
UPDATE jangbu.verification_runs
SET runs_until = clock_timestamp() + $2::integer * interval '1 second'
WHERE id = $1::uuid AND ended_at IS NULL
RETURNING id
