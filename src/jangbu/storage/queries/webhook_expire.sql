-- Gives up events that nobody could deliver in time. What is being tried at this moment is left to whoever tries it.
UPDATE jangbu.webhook_events AS e
SET given_up_at = clock_timestamp()
WHERE e.project = $1::text
    AND e.delivered_at IS NULL AND e.given_up_at IS NULL
    AND e.due_at <= clock_timestamp()
    AND e.gives_up_at <= clock_timestamp()
RETURNING e.id
