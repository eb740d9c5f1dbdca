-- The first blocked users of a project, by name, of those whose names lie in a range: they have an index of their own. The
-- limit of one row keeps the server from reading all balances to join them.
SELECT
    a.account_id,
    a.user_id,
    b.used,
    b.granted - b.used AS left_over,
    coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0) AS seen_ms
FROM (
    SELECT n.account_id, n.user_id COLLATE "C" AS user_id
    FROM jangbu.accounts AS n
    WHERE n.state = 'blocked' AND n.project = $1::text
        AND n.user_id COLLATE "C" >= $2::text AND n.user_id COLLATE "C" < $3::text
    ORDER BY n.user_id COLLATE "C"
    LIMIT $4::integer
) AS a
CROSS JOIN LATERAL (
    SELECT m.granted, m.used, m.seen_at
    FROM jangbu.balances AS m
    WHERE m.account_id = a.account_id AND m.asset = 1
    LIMIT 1
) AS b
ORDER BY a.user_id
