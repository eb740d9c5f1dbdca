-- Ties a member to who they are at a provider, unless they are tied already: names may change hands there, subjects not.
UPDATE jangbu.members AS m
SET issuer = $3::text,
    subject = $4::text
WHERE m.project = $1::text AND m.member_id = $2::uuid AND m.issuer IS NULL
RETURNING
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
