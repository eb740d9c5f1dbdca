-- Takes alerts that are due, for as long as the lease; what others are taking is passed over, so that many nodes deliver
-- each alert once. A node that dies leaves its alerts to whoever comes when the lease is over; conditions that this release
-- does not know are left to the release that raised them. What was raised while its condition was muted is not taken.
WITH due AS (
    SELECT a.id
    FROM jangbu.alerts AS a
    WHERE a.project = $1::text
        AND a.delivered_at IS NULL AND a.given_up_at IS NULL AND a.muted_at IS NULL
        AND a.due_at <= clock_timestamp()
        AND a.condition = ANY ($4::text[])
        AND NOT (
            a.attempts = 0
            AND EXISTS (
                SELECT FROM jangbu.alert_mutes AS m
                WHERE m.project = a.project AND m.condition = a.condition
                    AND a.raised_at >= m.muted_at AND a.raised_at < least(m.until, coalesce(m.ended_at, m.until))
            )
        )
    ORDER BY a.due_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
)
UPDATE jangbu.alerts AS a
SET attempts = a.attempts + 1,
    due_at = clock_timestamp() + $3::integer * interval '1 second'
FROM due AS d
WHERE a.id = d.id
RETURNING
    a.id, a.project, a.condition, a.phase, a.key, a.node, a.facts::text AS facts, a.raised_at, a.attempts,
    a.delivered_to, a.errors::text AS errors
