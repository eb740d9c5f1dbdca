-- Whose calls of some models and services, or of all, were made in some quarters of an hour: records have no index by
-- time alone, but the figures of users have. Each of these accounts is then looked for by its own key.
SELECT w.account_id
FROM (
    SELECT r.account_id
    FROM jangbu.usage_quarters AS r
    WHERE r.at = ANY ($4::timestamptz[])
        AND ($2::text[] IS NULL OR r.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR r.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    UNION
    SELECT n.account_id
    FROM jangbu.usage_recent AS n
    WHERE n.at = ANY ($4::timestamptz[])
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
) AS w
-- A join would read all accounts of the project, who are many more than those who called.
WHERE (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = w.account_id) = $1::text
