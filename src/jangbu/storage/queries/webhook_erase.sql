-- Forgets what was told to the app of an erased user, or was still to be told.
DELETE FROM jangbu.webhook_events AS e WHERE e.project = $1::text AND e.user_id = $2::text
