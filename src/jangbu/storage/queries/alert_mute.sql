-- Marks alerts that were raised while their condition was muted: they are kept, and not sent. One that was sent already
-- through some channel goes on to the others.
UPDATE jangbu.alerts AS a
SET muted_at = clock_timestamp()
WHERE a.project = $1::text
    AND a.delivered_at IS NULL AND a.given_up_at IS NULL AND a.muted_at IS NULL
    AND a.attempts = 0
    AND EXISTS (
        SELECT FROM jangbu.alert_mutes AS m
        WHERE m.project = a.project AND m.condition = a.condition
            AND a.raised_at >= m.muted_at AND a.raised_at < least(m.until, coalesce(m.ended_at, m.until))
    )
RETURNING a.id
