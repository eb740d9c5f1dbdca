-- All users of a project whose names lie in a range, up to so many: where they are few, they are put in order outside.
SELECT
    b.account_id,
    f.user_id,
    b.used,
    b.granted - b.used AS left_over,
    coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0) AS seen_ms
FROM (
    (
        SELECT d.account_id, d.user_id
        FROM jangbu.directory AS d
        WHERE d.project = $1::text AND d.user_id >= $2::text AND d.user_id < $3::text
        ORDER BY d.user_id
        LIMIT $4::integer
    )
    UNION
    SELECT n.account_id, a.user_id COLLATE "C"
    FROM jangbu.balances AS n
    JOIN jangbu.accounts AS a ON a.account_id = n.account_id
    WHERE n.asset = 1 AND NOT n.is_listed AND a.project = $1::text
        AND a.user_id COLLATE "C" >= $2::text AND a.user_id COLLATE "C" < $3::text
) AS f
JOIN jangbu.balances AS b ON b.account_id = f.account_id AND b.asset = 1
