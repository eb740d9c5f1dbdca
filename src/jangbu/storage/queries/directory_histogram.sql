-- How many users of a project ever used how much: numbers of users between bounds, from 0 on. Where the directory is
-- not up to date, its word is taken back and that of the balance is counted.
SELECT s.bin, sum(s.users)::bigint AS users
FROM (
    SELECT width_bucket(d.used, $2::bigint[]) AS bin, count(*) AS users
    FROM jangbu.directory AS d
    WHERE d.project = $1::text
    GROUP BY 1
    UNION ALL
    SELECT width_bucket(d.used, $2::bigint[]), -1
    FROM jangbu.balances AS b
    JOIN jangbu.directory AS d ON d.account_id = b.account_id
    WHERE b.asset = 1 AND NOT b.is_listed AND d.project = $1::text
    UNION ALL
    SELECT width_bucket(b.used, $2::bigint[]), 1
    FROM jangbu.balances AS b
    JOIN jangbu.accounts AS a ON a.account_id = b.account_id
    WHERE b.asset = 1 AND NOT b.is_listed AND a.project = $1::text
) AS s
GROUP BY s.bin
HAVING sum(s.users) <> 0
ORDER BY s.bin
