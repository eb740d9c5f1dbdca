-- The refused calls of a project, or of one user, by user and minute, the latest first, from the one before the last of a
-- page: a walk down an index that ends at the limit.
SELECT r.at, r.account_id, a.user_id, r.calls
FROM jangbu.refused_minutes AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.project = $1::text
    AND ($2::uuid IS NULL OR r.account_id = $2::uuid)
    AND ($3::timestamptz IS NULL OR r.at >= $3::timestamptz)
    AND ($4::timestamptz IS NULL OR r.at < $4::timestamptz)
    AND ($5::timestamptz IS NULL OR (r.at, r.account_id) < ($5::timestamptz, $6::uuid))
ORDER BY r.at DESC, r.account_id DESC
LIMIT $7::integer
