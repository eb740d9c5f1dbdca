-- Begins a session of a member who is not blocked at this moment, and notes that they signed in. Where a digest is named
-- the password has to be that one still: it may have been changed while it was compared.
WITH arrived AS (
    UPDATE jangbu.members AS m
    SET last_signed_in_at = clock_timestamp()
    WHERE m.project = $2::text AND m.member_id = $3::uuid AND m.blocked_at IS NULL
        AND ($7::text IS NULL OR m.password = $7::text)
    RETURNING
        m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
        m.created_at, m.last_signed_in_at, m.blocked_at
), begun AS (
    INSERT INTO jangbu.sessions AS s (session_id, project, member_id, digest, csrf_secret, expires_at)
    SELECT
        $1::uuid, $2::text, a.member_id, $4::bytea, $5::bytea,
        clock_timestamp() + $6::integer * interval '1 second'
    FROM arrived AS a
    RETURNING s.session_id, s.csrf_secret, s.created_at AS begun_at, s.last_seen_at, s.expires_at
)
SELECT
    a.member_id, a.name, a.role, a.has_password, a.issuer, a.subject, a.created_at, a.last_signed_in_at, a.blocked_at,
    b.session_id, b.csrf_secret, b.begun_at, b.last_seen_at, b.expires_at
FROM arrived AS a
CROSS JOIN begun AS b
