-- Takes events that are due, for as long as the lease; what others are taking is passed over, so that many nodes deliver
-- each event once. A node that dies leaves its events to whoever comes when the lease is over; kinds that this release
-- does not know are left to the release that made them.
WITH due AS (
    SELECT e.id
    FROM jangbu.webhook_events AS e
    WHERE e.project = $1::text
        AND e.delivered_at IS NULL AND e.given_up_at IS NULL
        AND e.due_at <= clock_timestamp()
        AND e.kind = ANY ($4::text[])
    ORDER BY e.due_at
    LIMIT $2::integer
    FOR UPDATE SKIP LOCKED
)
UPDATE jangbu.webhook_events AS e
SET turn = e.turn + 1,
    attempts = e.attempts + 1,
    due_at = clock_timestamp() + $3::integer * interval '1 second'
FROM due AS d
WHERE e.id = d.id
RETURNING e.id, e.project, e.kind, e.user_id, e.facts::text AS facts, e.created_at, e.turn, e.attempts
