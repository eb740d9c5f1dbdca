-- Which of the names in a request are not the account's, in the order of the request: such a request goes nowhere.
SELECT n.name
FROM unnest($2::text[]) WITH ORDINALITY AS n (name, number)
WHERE NOT EXISTS (
    SELECT FROM jangbu.living_resources AS r WHERE r.account_id = $1::uuid AND r.name = n.name
)
ORDER BY n.number
