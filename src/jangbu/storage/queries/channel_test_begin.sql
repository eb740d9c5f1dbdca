-- Begins a test of a channel, unless one began within the interval, whoever wanted it: of many at the same moment one does.
INSERT INTO jangbu.channel_tests AS t (project, channel, tested_by)
VALUES ($1::text, $2::text, $3::text)
ON CONFLICT (project, channel) DO UPDATE
SET tested_at = clock_timestamp(), tested_by = excluded.tested_by, ended_at = NULL, error = NULL
WHERE t.tested_at <= clock_timestamp() - $4::integer * interval '1 second'
RETURNING t.tested_at
