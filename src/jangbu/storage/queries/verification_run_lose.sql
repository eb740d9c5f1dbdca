-- Ends the asked verifications of a project whose process died: nothing renewed them.
UPDATE jangbu.verification_runs
SET ended_at = clock_timestamp(), failure = 'lost'
WHERE project = $1::text AND ended_at IS NULL AND runs_until < clock_timestamp()
