-- A page of a project's users in ascending order of what is asked, from the one after a key: a walk along the index of
-- that order which ends at the limit, however many users there are. Where the directory is not up to date, it is read
-- from the balances: these are few. Names are in the order of their code points, from $5 to before $6.
WITH unlisted AS MATERIALIZED (
    SELECT
        b.account_id,
        CASE $2::text
            WHEN 'used' THEN b.used
            WHEN 'left' THEN b.granted - b.used
            WHEN 'seen' THEN coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0)
            ELSE 0
        END AS key,
        a.user_id COLLATE "C" AS user_id
    FROM jangbu.balances AS b
    JOIN jangbu.accounts AS a ON a.account_id = b.account_id
    WHERE b.asset = 1 AND NOT b.is_listed AND a.project = $1::text
),
found AS (
    (
        SELECT d.account_id, 0::bigint AS key, d.user_id
        FROM jangbu.directory AS d
        WHERE $2::text = 'user' AND d.project = $1::text
            AND d.user_id > $4::text
            AND d.user_id >= $5::text AND d.user_id < $6::text
            AND (SELECT b.is_listed FROM jangbu.balances AS b WHERE b.account_id = d.account_id AND b.asset = 1)
        ORDER BY d.user_id
        LIMIT $7::integer
    )
    UNION ALL
    (
        SELECT d.account_id, d.used AS key, d.user_id
        FROM jangbu.directory AS d
        WHERE $2::text = 'used' AND d.project = $1::text
            AND (d.used, d.user_id) > ($3::bigint, $4::text)
            AND d.user_id >= $5::text AND d.user_id < $6::text
            AND (SELECT b.is_listed FROM jangbu.balances AS b WHERE b.account_id = d.account_id AND b.asset = 1)
        ORDER BY d.used, d.user_id
        LIMIT $7::integer
    )
    UNION ALL
    (
        SELECT d.account_id, d.left_over AS key, d.user_id
        FROM jangbu.directory AS d
        WHERE $2::text = 'left' AND d.project = $1::text
            AND (d.left_over, d.user_id) > ($3::bigint, $4::text)
            AND d.user_id >= $5::text AND d.user_id < $6::text
            AND (SELECT b.is_listed FROM jangbu.balances AS b WHERE b.account_id = d.account_id AND b.asset = 1)
        ORDER BY d.left_over, d.user_id
        LIMIT $7::integer
    )
    UNION ALL
    (
        SELECT d.account_id, d.seen_ms AS key, d.user_id
        FROM jangbu.directory AS d
        WHERE $2::text = 'seen' AND d.project = $1::text
            AND (d.seen_ms, d.user_id) > ($3::bigint, $4::text)
            AND d.user_id >= $5::text AND d.user_id < $6::text
            AND (SELECT b.is_listed FROM jangbu.balances AS b WHERE b.account_id = d.account_id AND b.asset = 1)
        ORDER BY d.seen_ms, d.user_id
        LIMIT $7::integer
    )
    UNION ALL
    SELECT u.account_id, u.key, u.user_id
    FROM unlisted AS u
    WHERE (u.key, u.user_id) > ($3::bigint, $4::text)
        AND u.user_id >= $5::text AND u.user_id < $6::text
)
SELECT f.account_id, f.key, f.user_id
FROM found AS f
ORDER BY f.key, f.user_id
LIMIT $7::integer
