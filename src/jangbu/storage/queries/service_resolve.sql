-- Gives names of services their numbers, making the missing ones.
WITH made AS (
    INSERT INTO jangbu.services (name)
    SELECT name FROM unnest($1::text[]) AS t (name)
    ON CONFLICT (name) DO NOTHING
    RETURNING service_id, name
)
SELECT service_id, name FROM made
UNION
SELECT service_id, name FROM jangbu.services WHERE name = ANY ($1::text[])
