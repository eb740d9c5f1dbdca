-- The session of a token, with its member as they are now, while neither its time nor the member's is over. That it was
-- seen is written once a minute, and never waited for.
WITH in_force AS (
    SELECT
        s.session_id, s.csrf_secret, s.created_at AS begun_at, s.last_seen_at, s.expires_at,
        m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
        m.created_at, m.last_signed_in_at, m.blocked_at
    FROM jangbu.sessions AS s
    JOIN jangbu.members AS m ON m.member_id = s.member_id AND m.blocked_at IS NULL
    WHERE s.digest = $2::bytea AND s.project = $1::text
        AND s.expires_at > clock_timestamp()
        AND s.last_seen_at > clock_timestamp() - $3::integer * interval '1 second'
), unseen AS (
    SELECT s.session_id
    FROM jangbu.sessions AS s
    JOIN in_force AS f ON f.session_id = s.session_id
    WHERE s.last_seen_at < clock_timestamp() - interval '1 minute'
    FOR NO KEY UPDATE OF s SKIP LOCKED
), seen AS (
    UPDATE jangbu.sessions AS s
    SET last_seen_at = clock_timestamp()
    FROM unseen AS u
    WHERE s.session_id = u.session_id
    RETURNING s.session_id, s.last_seen_at
)
SELECT
    f.member_id, f.name, f.role, f.has_password, f.issuer, f.subject, f.created_at, f.last_signed_in_at, f.blocked_at,
    f.session_id, f.csrf_secret, f.begun_at, coalesce(n.last_seen_at, f.last_seen_at) AS last_seen_at, f.expires_at
FROM in_force AS f
LEFT JOIN seen AS n ON n.session_id = f.session_id
