-- In which quarters of an hour a project's calls of a time were made, of some models and services or of all, how many, and
-- how many of any kind have been made since each began: those of so long a time up to the latest such call, so that a long
-- window is gone through piece by piece, and a time in which nobody called is skipped. Only what is that late is read: its
-- end is found from the end of the key.
WITH latest AS MATERIALIZED (
    SELECT greatest(
        (
            SELECT max(r.at)
            FROM jangbu.project_quarters AS r
            WHERE r.project = $1::text AND r.at >= $4::timestamptz AND r.at < $5::timestamptz
                AND ($2::text[] IS NULL OR r.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
                AND (
                    $3::text[] IS NULL
                    OR r.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
                )
        ),
        (
            SELECT max(date_bin('15 minutes', n.at, '2000-01-01Z'))
            FROM jangbu.project_recent AS n
            WHERE n.project = $1::text AND n.at >= $4::timestamptz AND n.at < $5::timestamptz
                AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
                AND (
                    $3::text[] IS NULL
                    OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
                )
        )
    ) AS at
)
SELECT t.at, t.calls, t.calls_since
FROM (
    SELECT
        q.at,
        jangbu.sum(q.calls) FILTER (WHERE q.is_meant) AS calls,
        sum(jangbu.sum(q.calls)) OVER (ORDER BY q.at DESC)::bigint AS calls_since
    FROM (
        SELECT
            w.at,
            w.calls,
            ($2::text[] IS NULL OR w.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
            AND (
                $3::text[] IS NULL
                OR w.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
            ) AS is_meant
        FROM (
            SELECT r.at, r.model_id, r.service_id, r.calls
            FROM jangbu.project_quarters AS r
            WHERE r.project = $1::text AND r.at < $5::timestamptz
                AND r.at >= greatest($4::timestamptz, (SELECT at FROM latest) - $6::interval)
            UNION ALL
            SELECT date_bin('15 minutes', n.at, '2000-01-01Z'), n.model_id, n.service_id, n.calls
            FROM jangbu.project_recent AS n
            WHERE n.project = $1::text AND n.at < $5::timestamptz
                AND n.at >= greatest($4::timestamptz, (SELECT at FROM latest) - $6::interval)
        ) AS w
        WHERE (SELECT at FROM latest) IS NOT NULL
    ) AS q
    GROUP BY q.at
) AS t
WHERE t.calls > 0
ORDER BY t.at DESC
