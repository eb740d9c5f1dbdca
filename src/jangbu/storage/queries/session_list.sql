-- The sessions of a member that are in force, the one that was seen last first: who looks at them ends what is not theirs.
SELECT s.session_id, s.created_at, s.last_seen_at, s.expires_at
FROM jangbu.sessions AS s
WHERE s.project = $1::text AND s.member_id = $2::uuid
    AND s.expires_at > clock_timestamp()
    AND s.last_seen_at > clock_timestamp() - $3::integer * interval '1 second'
ORDER BY s.last_seen_at DESC, s.session_id DESC
LIMIT $4::integer
