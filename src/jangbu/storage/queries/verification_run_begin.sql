-- Begins a verification that somebody asks for. No row comes back where one of the project is under way.
INSERT INTO jangbu.verification_runs (id, project, is_full, runs_until)
VALUES ($1::uuid, $2::text, $3::boolean, clock_timestamp() + $4::integer * interval '1 second')
ON CONFLICT (project) WHERE ended_at IS NULL DO NOTHING
RETURNING id
