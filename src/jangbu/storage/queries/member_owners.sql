-- The owners who have a way in, locked in order: of two owners who take away each other's role one waits here, and then
-- sees that the other is no owner any more. So the last one stays.
SELECT m.member_id
FROM jangbu.members AS m
WHERE m.project = $1::text AND m.role = 'owner' AND m.blocked_at IS NULL
    AND (m.password IS NOT NULL OR m.issuer IS NOT NULL)
ORDER BY m.member_id
FOR UPDATE
