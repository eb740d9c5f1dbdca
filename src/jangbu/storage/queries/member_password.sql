-- Keeps the digest of a member's password. Where a former digest is named, only in its place: a password that was
-- changed meanwhile stays.
UPDATE jangbu.members AS m
SET password = $3::text
WHERE m.project = $1::text AND m.member_id = $2::uuid AND ($4::text IS NULL OR m.password = $4::text)
RETURNING
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
