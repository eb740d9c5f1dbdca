-- Opens an account with its token balance; a user who has one keeps it.
WITH opened AS (
    INSERT INTO jangbu.accounts (account_id, project, user_id)
    VALUES ($1::uuid, $2::text, $3::text)
    ON CONFLICT DO NOTHING
    RETURNING account_id
),
balanced AS (
    INSERT INTO jangbu.balances (account_id, asset)
    SELECT $1::uuid, 1
    ON CONFLICT DO NOTHING
)
SELECT count(*) > 0 AS is_new FROM opened
