-- The price book in force.
SELECT version, digest, book, note, created_at
FROM jangbu.price_versions
WHERE project = $1::text
ORDER BY version DESC
LIMIT 1
