-- Whether a link is good, and whose it is.
SELECT l.member_id, l.expires_at
FROM jangbu.set_up_links AS l
WHERE l.project = $1::text AND l.digest = $2::bytea AND l.expires_at > clock_timestamp()
