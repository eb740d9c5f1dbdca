-- Ends the session of a token, and tells whose it was.
DELETE FROM jangbu.sessions AS s
WHERE s.project = $1::text AND s.digest = $2::bytea
RETURNING s.member_id
