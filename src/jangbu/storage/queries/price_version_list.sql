-- The history of a project's price books, newest first, from the one before the last of a page.
SELECT version, digest, note, created_at
FROM jangbu.price_versions
WHERE project = $1::text AND ($3::integer IS NULL OR version < $3::integer)
ORDER BY version DESC
LIMIT $2::integer
