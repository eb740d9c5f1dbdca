-- Takes what the app attached from some of an erased account's records, those after one, and gives the last of them; NULL
-- where there is none. By which key a call came stays, because figures are told by it, and so does what Google reported.
WITH page AS (
    SELECT u.id
    FROM jangbu.usage AS u
    WHERE u.account_id = $1::uuid AND u.id > $2::uuid AND u.metadata - 'jangbu_key' <> '{}'
    ORDER BY u.id
    LIMIT $3::integer
),
taken AS (
    UPDATE jangbu.usage AS u
    SET metadata = nullif(jsonb_strip_nulls(jsonb_build_object('jangbu_key', u.metadata -> 'jangbu_key')), '{}')
    FROM page AS p
    WHERE u.account_id = $1::uuid AND u.id = p.id
    RETURNING u.id
)
SELECT t.id FROM taken AS t ORDER BY t.id DESC LIMIT 1
