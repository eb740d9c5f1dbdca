-- Keeps a member out, or lets them in again; a second time it changes nothing, the first moment stands.
WITH former AS (
    SELECT o.member_id, o.blocked_at IS NOT NULL AS was_blocked
    FROM jangbu.members AS o
    WHERE o.project = $1::text AND o.member_id = $2::uuid
    FOR NO KEY UPDATE
)
UPDATE jangbu.members AS m
SET blocked_at = CASE WHEN $3::boolean THEN coalesce(m.blocked_at, clock_timestamp()) END
FROM former AS f
WHERE m.member_id = f.member_id
RETURNING
    f.was_blocked,
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
