-- Lets others verify in the background.
UPDATE jangbu.verifications SET runner = NULL, runs_until = NULL WHERE project = $1::text AND runner = $2::uuid
