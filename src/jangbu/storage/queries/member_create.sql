-- Keeps a new member, unless the name is taken: no two members are told apart by capitals alone.
INSERT INTO jangbu.members AS m (member_id, project, name, known_as, role, issuer, subject)
SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text::jangbu.member_role, $6::text, $7::text
ON CONFLICT DO NOTHING
RETURNING
    m.member_id, m.name, m.role::text AS role, m.password IS NOT NULL AS has_password, m.issuer, m.subject,
    m.created_at, m.last_signed_in_at, m.blocked_at
