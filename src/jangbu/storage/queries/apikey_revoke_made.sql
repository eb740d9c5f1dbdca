-- Ends the keys in force that a key made, and those that these made, and so on; what is made in the same moment is found
-- the next time. They ended when it did.
WITH RECURSIVE made AS (
    SELECT k.key_id FROM jangbu.api_keys AS k WHERE k.made_by = $1::uuid
    UNION ALL
    SELECT k.key_id FROM made AS m JOIN jangbu.api_keys AS k ON k.made_by = m.key_id
)
UPDATE jangbu.api_keys AS k
SET revoked_at = clock_timestamp()
FROM made AS m
WHERE k.key_id = m.key_id AND k.revoked_at IS NULL
RETURNING k.key_id
