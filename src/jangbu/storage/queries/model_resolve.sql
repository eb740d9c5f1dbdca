-- Gives names of models their numbers, making the missing ones.
WITH made AS (
    INSERT INTO jangbu.models (name)
    SELECT name FROM unnest($1::text[]) AS t (name)
    ON CONFLICT (name) DO NOTHING
    RETURNING model_id, name
)
SELECT model_id, name FROM made
UNION
SELECT model_id, name FROM jangbu.models WHERE name = ANY ($1::text[])
