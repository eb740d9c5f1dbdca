-- Whose a cache of a project is, for whoever changes it in nobody's name. One that has ended is nobody's.
SELECT account_id
FROM jangbu.living_resources
WHERE project = $1::text AND name = $2::text AND kind = 'cache'
