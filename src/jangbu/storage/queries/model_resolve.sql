-- Gives names of models their numbers, making the missing ones. No number is spent on one that is there already, as a
-- conflict would: there are only so many numbers.
WITH made AS (
    INSERT INTO jangbu.models (name)
    SELECT t.name FROM unnest($1::text[]) AS t (name)
    WHERE NOT EXISTS (SELECT FROM jangbu.models AS s WHERE s.name = t.name)
    ON CONFLICT (name) DO NOTHING
    RETURNING model_id, name
)
SELECT model_id, name FROM made
UNION
SELECT model_id, name FROM jangbu.models WHERE name = ANY ($1::text[])
