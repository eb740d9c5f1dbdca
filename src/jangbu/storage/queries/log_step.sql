-- The call that so many of a user's calls of a stretch of ids are newer than, to look through them step by step: a walk
-- down the primary key that ends there, with no row where fewer are left.
SELECT u.id
FROM jangbu.usage AS u
WHERE u.account_id = $1::uuid AND u.id >= $2::uuid AND u.id < $3::uuid
ORDER BY u.id DESC
OFFSET $4::integer
LIMIT 1
