-- Gives names of services their numbers, making the missing ones. No number is spent on one that is there already, as a
-- conflict would: there are only so many numbers.
WITH made AS (
    INSERT INTO jangbu.services (name)
    SELECT t.name FROM unnest($1::text[]) AS t (name)
    WHERE NOT EXISTS (SELECT FROM jangbu.services AS s WHERE s.name = t.name)
    ON CONFLICT (name) DO NOTHING
    RETURNING service_id, name
)
SELECT service_id, name FROM made
UNION
SELECT service_id, name FROM jangbu.services WHERE name = ANY ($1::text[])
