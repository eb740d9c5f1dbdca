-- The members of a project in the order of their names, from the one after the last of a page.
SELECT
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
FROM jangbu.members AS m
WHERE m.project = $1::text AND m.known_as > $2::text
ORDER BY m.known_as
LIMIT $3::integer
