-- The refused calls of a project, or of one user, by user and minute, the latest first, from the one before the last of a
-- page: a walk down an index that ends at the limit, or all that lies together of a user.
SELECT r.at, r.account_id, a.user_id, r.calls
FROM (
    (
        SELECT o.at, o.account_id, o.calls
        FROM jangbu.refused_minutes AS o
        WHERE $2::uuid IS NULL AND o.project = $1::text
            AND ($3::timestamptz IS NULL OR o.at >= $3::timestamptz)
            AND ($4::timestamptz IS NULL OR o.at < $4::timestamptz)
            AND ($5::timestamptz IS NULL OR (o.at, o.account_id) < ($5::timestamptz, $6::uuid))
        ORDER BY o.at DESC, o.account_id DESC
        LIMIT $7::integer
    )
    UNION ALL
    (
        SELECT o.at, o.account_id, o.calls
        FROM jangbu.refused_minutes AS o
        WHERE o.account_id = $2::uuid AND o.project = $1::text
            AND ($3::timestamptz IS NULL OR o.at >= $3::timestamptz)
            AND ($4::timestamptz IS NULL OR o.at < $4::timestamptz)
            AND ($5::timestamptz IS NULL OR (o.at, o.account_id) < ($5::timestamptz, $6::uuid))
        ORDER BY o.at DESC
        LIMIT $7::integer
    )
) AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
ORDER BY r.at DESC, r.account_id DESC
LIMIT $7::integer
