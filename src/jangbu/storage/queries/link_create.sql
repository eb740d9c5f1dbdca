-- Keeps a link by the digest of its token. A member has one at a time, the newest; those that make the first owner may
-- be several, because several servers offer one each.
WITH former AS (
    DELETE FROM jangbu.set_up_links AS l
    WHERE l.project = $2::text AND l.member_id = $3::uuid
)
INSERT INTO jangbu.set_up_links AS l (digest, project, member_id, expires_at)
VALUES ($1::bytea, $2::text, $3::uuid, clock_timestamp() + $4::integer * interval '1 second')
RETURNING l.expires_at
