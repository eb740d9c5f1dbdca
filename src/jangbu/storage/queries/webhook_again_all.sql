-- Has all events that were given up sent again, or those of one kind or user: as many as may wait at once, the oldest first.
-- Each keeps its id, by which a receiver tells that it has come before.
WITH wanted AS (
    SELECT e.id
    FROM jangbu.webhook_events AS e
    WHERE e.project = $1::text AND e.given_up_at IS NOT NULL
        AND e.kind = ANY ($2::text[])
        AND ($3::text IS NULL OR e.user_id = $3::text)
    ORDER BY e.created_at, e.id
    LIMIT $4::integer
    FOR UPDATE SKIP LOCKED
)
UPDATE jangbu.webhook_events AS e
SET turn = e.turn + 1,
    due_at = clock_timestamp(),
    gives_up_at = clock_timestamp() + interval '1 day',
    given_up_at = NULL
FROM wanted AS w
WHERE e.id = w.id
RETURNING e.id
