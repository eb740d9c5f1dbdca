-- Notes that keys were used. What another process noted a moment ago, or notes this very moment, is not written again,
-- so gateways never wait for each other here.
WITH used AS (
    SELECT k.key_id
    FROM jangbu.api_keys AS k
    WHERE k.key_id = ANY ($1::uuid[])
        AND (k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '30 seconds')
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE jangbu.api_keys AS k
SET last_used_at = clock_timestamp()
FROM used AS u
WHERE k.key_id = u.key_id
