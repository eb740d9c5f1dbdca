-- Notes that a call reads its files no more. Rows are locked in the order of their names.
WITH kept AS (
    SELECT r.name
    FROM jangbu.resources AS r
    WHERE r.account_id = $1::uuid AND r.uses <> '{}' AND $2::uuid = ANY (r.uses)
    ORDER BY r.name
    FOR NO KEY UPDATE
)
UPDATE jangbu.resources AS r
SET uses = array_remove(r.uses, $2::uuid)
FROM kept AS k
WHERE r.account_id = $1::uuid AND r.name = k.name
