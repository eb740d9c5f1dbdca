-- The account of a record that is named by its id alone; the id's month prunes the other partitions.
SELECT u.account_id
FROM jangbu.usage AS u
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
WHERE u.id = $2::uuid AND a.project = $1::text
LIMIT 1
