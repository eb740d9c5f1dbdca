-- Puts an alert into the outbox unless the same was told within its interval, by whichever node. Whoever moves the key
-- tells it: of many at the same moment that is one. A repetition after a lost acknowledgement finds the key moved.
WITH told AS (
    INSERT INTO jangbu.alert_keys AS k (project, key, told_at)
    VALUES ($2::text, $9::text, clock_timestamp())
    ON CONFLICT (project, key) DO UPDATE
    SET told_at = excluded.told_at
    WHERE k.told_at <= clock_timestamp() - $10::bigint * interval '1 millisecond'
    RETURNING key
)
INSERT INTO jangbu.alerts (id, project, condition, phase, key, node, facts, raised_at)
SELECT
    $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text::jsonb, $8::timestamptz
FROM told
ON CONFLICT DO NOTHING
RETURNING id
