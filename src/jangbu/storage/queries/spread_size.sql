-- How many calls everybody in a project made on the days of UTC that a window touches, and in all of their months.
SELECT
    coalesce(sum(d.calls) FILTER (WHERE d.at >= $2::timestamptz AND d.at < $3::timestamptz), 0)::bigint AS in_days,
    coalesce(sum(d.calls), 0)::bigint AS in_months
FROM (
    SELECT l.at, l.calls
    FROM jangbu.project_days AS l
    WHERE l.project = $1::text AND l.at >= date_trunc('month', $2::timestamptz, 'UTC')
        AND l.at < date_trunc('month', $3::timestamptz, 'UTC') + interval '1 month'
    UNION ALL
    SELECT n.at, n.calls
    FROM jangbu.project_recent AS n
    WHERE n.project = $1::text AND n.at >= date_trunc('month', $2::timestamptz, 'UTC')
        AND n.at < date_trunc('month', $3::timestamptz, 'UTC') + interval '1 month'
) AS d
