-- A price book that was in force once.
SELECT version, digest, book, note, created_at
FROM jangbu.price_versions
WHERE version = $1::integer
