-- A price book that was in force once in a project: another one's terms are not its own.
SELECT version, digest, book, note, created_at
FROM jangbu.price_versions
WHERE project = $1::text AND version = $2::integer
