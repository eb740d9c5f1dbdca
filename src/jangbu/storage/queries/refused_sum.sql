-- How many calls of a project, or of one user, were refused for balance in a time.
SELECT coalesce(sum(r.calls), 0)::bigint
FROM jangbu.refused_minutes AS r
WHERE r.project = $1::text AND r.at >= $2::timestamptz AND r.at < $3::timestamptz
    AND ($4::uuid IS NULL OR r.account_id = $4::uuid)
