-- In which quarters of an hour a user's calls of a time were made, of some models and services or of all, how many, and how
-- many of any kind since each began: those of so long a time up to the latest such call, as of a project's
-- (stretch_project).
WITH latest AS MATERIALIZED (
    SELECT greatest(
        (
            SELECT max(r.at)
            FROM jangbu.usage_quarters AS r
            WHERE r.account_id = $1::uuid AND r.at >= $4::timestamptz AND r.at < $5::timestamptz
                AND ($2::text[] IS NULL OR r.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
                AND (
                    $3::text[] IS NULL
                    OR r.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
                )
        ),
        (
            SELECT max(n.at)
            FROM jangbu.usage_recent AS n
            WHERE n.account_id = $1::uuid AND n.at >= $4::timestamptz AND n.at < $5::timestamptz
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
            FROM jangbu.usage_quarters AS r
            WHERE r.account_id = $1::uuid AND r.at < $5::timestamptz
                AND r.at >= greatest($4::timestamptz, (SELECT at FROM latest) - $6::interval)
            UNION ALL
            SELECT n.at, n.model_id, n.service_id, n.calls
            FROM jangbu.usage_recent AS n
            WHERE n.account_id = $1::uuid AND n.at < $5::timestamptz
                AND n.at >= greatest($4::timestamptz, (SELECT at FROM latest) - $6::interval)
        ) AS w
        WHERE (SELECT at FROM latest) IS NOT NULL
    ) AS q
    GROUP BY q.at
) AS t
WHERE t.calls > 0
ORDER BY t.at DESC
