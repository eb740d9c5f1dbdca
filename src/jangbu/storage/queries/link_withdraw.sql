-- Takes a member's links back.
DELETE FROM jangbu.set_up_links AS l
WHERE l.project = $1::text AND l.member_id = $2::uuid
