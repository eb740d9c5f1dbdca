-- Whose calls of some models and services, or of all, were made in some quarters of an hour: records have no index by
-- time alone, but the figures of users have, by model and service, too. Each of these accounts is then looked for by its
-- own key: in all of the time or, where few of the calls are meant, in the quarters alone that have such. Whose account it
-- is is looked up only where there are other projects: for all who called that took as long as to find them.
WITH meant AS (
    SELECT
        ARRAY(SELECT m.model_id FROM jangbu.models AS m WHERE $2::text[] IS NULL OR m.name = ANY ($2::text[])) AS models,
        ARRAY(SELECT s.service_id FROM jangbu.services AS s WHERE $3::text[] IS NULL OR s.name = ANY ($3::text[]))
            AS services
),
sole AS MATERIALIZED (
    SELECT
        NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project < $1::text)
        AND NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project > $1::text) AS is_alone
)
SELECT w.account_id, w.at
FROM (
    SELECT r.account_id, CASE WHEN $5::boolean THEN t.at END AS at
    FROM unnest($4::timestamptz[]) AS t (at)
    CROSS JOIN LATERAL (
        SELECT q.account_id
        FROM jangbu.usage_quarters AS q
        WHERE q.at = t.at
            AND q.model_id = ANY ((SELECT models FROM meant)::integer[])
            AND q.service_id = ANY ((SELECT services FROM meant)::smallint[])
        OFFSET 0
    ) AS r
    UNION
    SELECT n.account_id, CASE WHEN $5::boolean THEN n.at END
    FROM jangbu.usage_recent AS n
    WHERE n.at = ANY ($4::timestamptz[])
        AND n.model_id = ANY ((SELECT models FROM meant)::integer[])
        AND n.service_id = ANY ((SELECT services FROM meant)::smallint[])
) AS w
-- A join would read all accounts of the project, who are many more than those who called.
WHERE (SELECT o.is_alone FROM sole AS o)
    OR (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = w.account_id) = $1::text
ORDER BY w.account_id, w.at
