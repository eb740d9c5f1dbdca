-- Gives a service its number, beginning it where it is new and there are fewer than so many.
WITH known AS (
    SELECT service_id FROM jangbu.services WHERE name = $1::text
),
made AS (
    INSERT INTO jangbu.services (name)
    SELECT $1::text
    WHERE NOT EXISTS (SELECT FROM known) AND (SELECT count(*) FROM jangbu.services) < $2::bigint
    ON CONFLICT (name) DO NOTHING
    RETURNING service_id
)
SELECT service_id FROM known
UNION ALL
SELECT service_id FROM made
