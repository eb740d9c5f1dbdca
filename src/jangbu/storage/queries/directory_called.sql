-- How many users of a project called in a time that is over: by days of UTC where they lie in it whole, from $4 to before $5,
-- and by quarters of an hour at its ends. What is recent is in none of both yet.
SELECT count(*)
FROM (
    SELECT d.account_id
    FROM jangbu.usage_days AS d
    WHERE d.project = $1::text
        AND d.day >= ($4::timestamptz AT TIME ZONE 'UTC')::date AND d.day < ($5::timestamptz AT TIME ZONE 'UTC')::date
    UNION
    SELECT q.account_id
    FROM jangbu.usage_quarters AS q
    JOIN jangbu.accounts AS a ON a.account_id = q.account_id AND a.project = $1::text
    WHERE q.at >= $2::timestamptz AND q.at < $4::timestamptz
    UNION
    SELECT q.account_id
    FROM jangbu.usage_quarters AS q
    JOIN jangbu.accounts AS a ON a.account_id = q.account_id AND a.project = $1::text
    WHERE q.at >= $5::timestamptz AND q.at < $3::timestamptz
    UNION
    SELECT n.account_id
    FROM jangbu.usage_recent AS n
    JOIN jangbu.accounts AS a ON a.account_id = n.account_id AND a.project = $1::text
    WHERE n.at >= $2::timestamptz AND n.at < $3::timestamptz
) AS u
