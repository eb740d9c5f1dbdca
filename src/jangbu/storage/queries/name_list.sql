-- The names that filters offer: services, and models in the order in which people look for them.
SELECT 'service' AS kind, s.name FROM jangbu.services AS s
UNION ALL
SELECT 'model' AS kind, m.name FROM jangbu.models AS m
ORDER BY kind, name
LIMIT $1::integer
