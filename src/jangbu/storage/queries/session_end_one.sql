-- Ends one session of a member by its id. Whose it is has to be said, so that nobody ends another member's by guessing.
DELETE FROM jangbu.sessions AS s
WHERE s.project = $1::text AND s.member_id = $2::uuid AND s.session_id = $3::uuid
RETURNING s.session_id
