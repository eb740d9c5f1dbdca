-- Keeps a new key by the digest of its secret. A user's key is kept only where the user has an account and was not
-- erased, and one that another key makes only while that one is in force: its row is locked, so that whoever revokes it meanwhile sees what it made.
WITH maker AS (
    SELECT m.key_id
    FROM jangbu.api_keys AS m
    WHERE m.key_id = $15::uuid AND m.revoked_at IS NULL
    FOR SHARE
)
INSERT INTO jangbu.api_keys (
    key_id, project, kind, name, digest, hint, account_id, user_id, scopes, models, requests_per_minute,
    tokens_per_minute, concurrent_calls, expires_at, made_by
)
SELECT
    $1::uuid, $2::text, $3::text::jangbu.api_key_kind, $4::text, $5::bytea, $6::text, $7::uuid, $8::text, $9::text[],
    $10::text[], $11::integer, $12::bigint, $13::integer, $14::timestamptz, $15::uuid
WHERE ($7::uuid IS NULL OR EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.account_id = $7::uuid AND a.user_id = $8::text))
    AND ($15::uuid IS NULL OR EXISTS (SELECT FROM maker))
RETURNING created_at
