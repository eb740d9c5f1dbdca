-- Another secret in the place of a project's, so that nothing accepts what the former one signed.
INSERT INTO jangbu.view_keys AS k (project, secret)
VALUES ($1::text, $2::bytea)
ON CONFLICT (project) DO UPDATE SET secret = excluded.secret, created_at = clock_timestamp()
