-- Puts a price book in force, unless the newest one of the project is the same.
WITH newest AS (
    SELECT version, digest
    FROM jangbu.price_versions
    WHERE project = $1::text
    ORDER BY version DESC
    LIMIT 1
),
added AS (
    INSERT INTO jangbu.price_versions (project, digest, book, note)
    SELECT $1::text, $2::bytea, $3::jsonb, $4::text
    WHERE NOT EXISTS (SELECT FROM newest WHERE newest.digest = $2::bytea)
    RETURNING version
)
SELECT added.version, true AS is_new FROM added
UNION ALL
SELECT newest.version, false FROM newest WHERE newest.digest = $2::bytea
