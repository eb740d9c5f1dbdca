-- The account of a record that is named by its id alone. Whoever called in the quarter of an hour that the id tells of
-- has a figure of it, so these few are asked first, each by its own index; all others are asked only where it is none
-- of them: a record is found whatever became of its figures.
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
    SELECT account_id FROM jangbu.accounts WHERE project = $1::text
) AS c
JOIN jangbu.accounts AS a ON a.account_id = c.account_id AND a.project = $1::text
CROSS JOIN LATERAL (
    SELECT u.id FROM jangbu.usage AS u WHERE u.account_id = c.account_id AND u.id = $2::uuid LIMIT 1
) AS u
LIMIT 1
