-- The account of a record that is named by its id alone. Whoever called in the quarter of an hour that the id tells of
-- has a figure of it, written with the record, so these few are asked, each by its own index. All others are asked where
-- it is none of them and a book is looked into whose figures may be wrong.
SELECT c.account_id
FROM (
    SELECT q.account_id
    FROM jangbu.usage_quarters AS q
    WHERE q.at = date_bin('15 minutes', jangbu.uuid7_time($2::uuid), '2000-01-01Z')
    UNION ALL
    SELECT r.account_id
    FROM jangbu.usage_recent AS r
    WHERE r.at = date_bin('15 minutes', jangbu.uuid7_time($2::uuid), '2000-01-01Z')
    UNION ALL
    SELECT account_id FROM jangbu.accounts WHERE project = $1::text AND $3::boolean
) AS c
JOIN jangbu.accounts AS a ON a.account_id = c.account_id AND a.project = $1::text
CROSS JOIN LATERAL (
    SELECT u.id FROM jangbu.usage AS u WHERE u.account_id = c.account_id AND u.id = $2::uuid LIMIT 1
) AS u
LIMIT 1
