-- Has an event sent again, whatever became of it: its turn moves on, so that an attempt that is under way settles nothing.
-- It keeps its id, by which a receiver tells that it has come before.
UPDATE jangbu.webhook_events AS e
SET turn = e.turn + 1,
    due_at = clock_timestamp(),
    gives_up_at = clock_timestamp() + interval '1 day',
    delivered_at = NULL,
    given_up_at = NULL
WHERE e.project = $1::text AND e.id = $2::uuid
RETURNING e.kind, e.user_id
