-- Begins the periodic look at all balances of a project, once.
INSERT INTO jangbu.webhook_walks (project, after)
VALUES ($1::text, '00000000-0000-0000-0000-000000000000')
ON CONFLICT DO NOTHING
