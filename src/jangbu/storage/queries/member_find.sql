-- The member whom an id, a name or a provider's word means, with the digest of the password: one way at a time is asked.
SELECT
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at,
    m.password
FROM jangbu.members AS m
WHERE m.project = $1::text
    AND (
        m.member_id = $2::uuid
        OR m.known_as = $3::text
        OR (m.issuer = $4::text AND m.subject = $5::text)
    )
