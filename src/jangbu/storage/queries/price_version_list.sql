-- The history of a project's price books, newest first.
SELECT version, digest, note, created_at
FROM jangbu.price_versions
WHERE project = $1::text
ORDER BY version DESC
LIMIT $2::integer
