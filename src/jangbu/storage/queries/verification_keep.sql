-- Goes on verifying; no row comes back where another process took over meanwhile.
UPDATE jangbu.verifications
SET runs_until = clock_timestamp() + $3::integer * interval '1 second'
WHERE project = $1::text AND runner = $2::uuid
RETURNING runner
