-- Removes links whose time is over.
DELETE FROM jangbu.set_up_links AS l
WHERE l.project = $1::text AND l.expires_at <= clock_timestamp()
