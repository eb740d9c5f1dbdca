-- Gives up alerts that nobody could deliver in time, also where no node has a channel for them. What is being tried at
-- this moment is left to whoever tries it.
UPDATE jangbu.alerts AS a
SET given_up_at = clock_timestamp()
WHERE a.project = $1::text
    AND a.delivered_at IS NULL AND a.given_up_at IS NULL AND a.muted_at IS NULL
    AND a.due_at <= clock_timestamp()
    AND a.created_at <= clock_timestamp() - $2::integer * interval '1 second'
RETURNING a.attempts
