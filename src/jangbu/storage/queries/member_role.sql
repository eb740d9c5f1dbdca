-- Gives a member another role; open sessions have it with their next request.
WITH former AS (
    SELECT o.member_id, o.role
    FROM jangbu.members AS o
    WHERE o.project = $1::text AND o.member_id = $2::uuid
    FOR NO KEY UPDATE
)
UPDATE jangbu.members AS m
SET role = $3::text::jangbu.member_role
FROM former AS f
WHERE m.member_id = f.member_id
RETURNING
    f.role::text AS former_role,
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
