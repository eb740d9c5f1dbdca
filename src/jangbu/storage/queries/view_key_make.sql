-- A project's first secret. Where others make one at the same moment the first one stands, and all go on with it.
INSERT INTO jangbu.view_keys (project, secret)
VALUES ($1::text, $2::bytea)
ON CONFLICT (project) DO NOTHING
