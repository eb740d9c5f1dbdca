-- Users of a project of whom a finding is open and whose names lie in a range, after a place in an order; nobody, and that
-- there are many, where more findings than a number are open. What is open has an index of its own, and each of these
-- users is looked up by key, so this takes as long as there is to look at, however many users there are. The limits of one
-- row keep the server from reading all accounts and all balances to join them.
WITH noted AS MATERIALIZED (
    SELECT f.account_id FROM jangbu.findings AS f WHERE f.resolved_at IS NULL LIMIT $9::integer + 1
),
counted AS MATERIALIZED (
    SELECT count(*) > $9::integer AS are_many FROM noted
),
open AS MATERIALIZED (
    SELECT DISTINCT n.account_id FROM noted AS n WHERE NOT (SELECT c.are_many FROM counted AS c)
),
placed AS (
    SELECT
        o.account_id,
        CASE $2::text
            WHEN 'used' THEN b.used
            WHEN 'left' THEN b.granted - b.used
            WHEN 'seen' THEN coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0)
            ELSE 0
        END AS key,
        a.user_id
    FROM open AS o
    CROSS JOIN LATERAL (
        SELECT n.project, n.user_id COLLATE "C" AS user_id
        FROM jangbu.accounts AS n
        WHERE n.account_id = o.account_id
        LIMIT 1
    ) AS a
    CROSS JOIN LATERAL (
        SELECT m.granted, m.used, m.seen_at
        FROM jangbu.balances AS m
        WHERE m.account_id = o.account_id AND m.asset = 1
        LIMIT 1
    ) AS b
    WHERE a.project = $1::text AND a.user_id >= $5::text AND a.user_id < $6::text
)
SELECT c.are_many, p.account_id, p.key, p.user_id
FROM counted AS c
LEFT JOIN placed AS p ON CASE
    WHEN $8::boolean THEN (p.key, p.user_id) < ($3::bigint, $4::text)
    ELSE (p.key, p.user_id) > ($3::bigint, $4::text)
END
ORDER BY
    CASE WHEN $8::boolean THEN p.key END DESC,
    CASE WHEN $8::boolean THEN p.user_id END DESC,
    p.key, p.user_id
LIMIT $7::integer
