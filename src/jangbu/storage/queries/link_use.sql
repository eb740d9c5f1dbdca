-- Uses a link up: of several who use it at once, one has it.
DELETE FROM jangbu.set_up_links AS l
WHERE l.project = $1::text AND l.digest = $2::bytea AND l.expires_at > clock_timestamp()
RETURNING l.digest
