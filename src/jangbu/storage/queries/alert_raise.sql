-- Puts an alert into the outbox unless the same was told within its interval, by whichever node. Whoever moves the key
-- tells it: of many at the same moment that is one. A repetition after a lost acknowledgement finds the key moved. What
-- was told within a mute that is over was told to nobody, so what lasts is told again at once.
WITH told AS (
    INSERT INTO jangbu.alert_keys AS k (project, key, told_at)
    SELECT
        $2::text, $9::text,
        clock_timestamp() - CASE WHEN EXISTS (
            SELECT FROM jangbu.alert_mutes AS m
            WHERE m.project = $2::text AND m.condition = $3::text
                AND $8::timestamptz >= m.muted_at AND $8::timestamptz < least(m.until, m.ended_at)
                AND least(m.until, m.ended_at) <= clock_timestamp()
        ) THEN $10::bigint ELSE 0 END * interval '1 millisecond'
    ON CONFLICT (project, key) DO UPDATE
    SET told_at = excluded.told_at
    WHERE k.told_at <= clock_timestamp() - $10::bigint * interval '1 millisecond'
        OR EXISTS (
            SELECT FROM jangbu.alert_mutes AS m
            WHERE m.project = k.project AND m.condition = $3::text
                AND k.told_at >= m.muted_at AND k.told_at < least(m.until, m.ended_at)
                AND least(m.until, m.ended_at) <= clock_timestamp()
        )
    RETURNING key
)
INSERT INTO jangbu.alerts (id, project, condition, phase, key, node, facts, raised_at)
SELECT
    $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text::jsonb, $8::timestamptz
FROM told
ON CONFLICT DO NOTHING
RETURNING id
