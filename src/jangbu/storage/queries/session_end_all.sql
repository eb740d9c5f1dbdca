-- Ends all sessions of a member, but for one where it is named: who changes their own password stays signed in there.
DELETE FROM jangbu.sessions AS s
WHERE s.project = $1::text AND s.member_id = $2::uuid AND ($3::uuid IS NULL OR s.session_id <> $3::uuid)
RETURNING s.session_id
