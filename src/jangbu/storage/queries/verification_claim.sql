-- Lets one process verify a project in the background, where the last verification ended long enough ago and nobody is
-- at it; a process that dies is out of it by itself. One that took long is followed by a longer time without, so that no
-- more than a tenth of the time goes into it.
INSERT INTO jangbu.verifications AS v (project, runner, runs_until)
VALUES ($1::text, $2::uuid, clock_timestamp() + $4::integer * interval '1 second')
ON CONFLICT (project) DO UPDATE
SET runner = excluded.runner, runs_until = excluded.runs_until
WHERE (v.runner IS NULL OR v.runs_until < clock_timestamp())
    AND (
        v.ended_at IS NULL
        OR v.ended_at < clock_timestamp() - greatest($3::integer * interval '1 second', 9 * (v.ended_at - v.started_at))
    )
RETURNING runner
