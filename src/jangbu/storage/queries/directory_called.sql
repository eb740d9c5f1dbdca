-- How many users of a project called in a time that is over: by days of UTC from $2 to before $3, by whole quarters of an
-- hour, those in $4, by what is recent from $5 to before $6, and by the records of the quarters in $7 that the time cuts,
-- from the moments in $8 to before those in $9. Quarters are found one by one: a plan for all times would look for a
-- stretch of them in every account.
WITH cut AS (
    SELECT c.at, c.first, c.next
    FROM unnest($7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) AS c (at, first, next)
),
caller AS (
    SELECT q.account_id
    FROM unnest($4::timestamptz[]) AS quarter (at)
    CROSS JOIN LATERAL (
        SELECT q.account_id
        FROM jangbu.usage_quarters AS q
        WHERE q.at = quarter.at
        OFFSET 0
    ) AS q
    UNION
    SELECT n.account_id
    FROM jangbu.usage_recent AS n
    WHERE n.at >= $5::timestamptz AND n.at < $6::timestamptz
        AND NOT EXISTS (SELECT FROM cut AS c WHERE c.at = n.at)
    UNION
    SELECT k.account_id
    FROM cut AS c
    CROSS JOIN LATERAL (
        SELECT q.account_id
        FROM jangbu.usage_quarters AS q
        WHERE q.at = c.at
        UNION
        SELECT n.account_id
        FROM jangbu.usage_recent AS n
        WHERE n.at = c.at
    ) AS k
    CROSS JOIN LATERAL (
        SELECT
        FROM jangbu.usage_and_sealed AS r
        WHERE r.account_id = k.account_id
            AND r.id >= jangbu.uuid7_floor(c.first) AND r.id < jangbu.uuid7_floor(c.next) AND r.at = c.at
        LIMIT 1
    ) AS r
)
SELECT count(*)
FROM (
    SELECT d.account_id
    FROM jangbu.usage_days AS d
    WHERE d.project = $1::text
        AND d.day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND d.day < ($3::timestamptz AT TIME ZONE 'UTC')::date
    UNION
    SELECT c.account_id
    FROM caller AS c
    JOIN jangbu.accounts AS a ON a.account_id = c.account_id
    WHERE a.project = $1::text
) AS u
