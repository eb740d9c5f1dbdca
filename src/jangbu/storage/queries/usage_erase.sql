-- Takes what the app attached from some of an erased account's records, those after one, and gives the last of them; NULL
-- where there is none. What Google reported is what the account was charged by: that stays.
WITH page AS (
    SELECT u.id
    FROM jangbu.usage AS u
    WHERE u.account_id = $1::uuid AND u.id > $2::uuid AND u.metadata IS NOT NULL
    ORDER BY u.id
    LIMIT $3::integer
),
taken AS (
    UPDATE jangbu.usage AS u
    SET metadata = NULL
    FROM page AS p
    WHERE u.account_id = $1::uuid AND u.id = p.id
    RETURNING u.id
)
SELECT t.id FROM taken AS t ORDER BY t.id DESC LIMIT 1
