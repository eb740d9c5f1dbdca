-- A key that is in force at this moment, for what goes on without showing its secret, with the keys with limits that
-- made it: what goes on counts under the limits of them all.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by,
    CASE WHEN k.made_by IS NULL THEN '{}'::uuid[] ELSE ARRAY(
        WITH RECURSIVE maker AS (
            SELECT m.key_id, m.made_by, m.requests_per_minute, m.tokens_per_minute, m.concurrent_calls
            FROM jangbu.api_keys AS m
            WHERE m.key_id = k.made_by
            UNION ALL
            SELECT m.key_id, m.made_by, m.requests_per_minute, m.tokens_per_minute, m.concurrent_calls
            FROM maker AS r
            JOIN jangbu.api_keys AS m ON m.key_id = r.made_by
        )
        SELECT r.key_id
        FROM maker AS r
        WHERE coalesce(r.requests_per_minute, r.tokens_per_minute, r.concurrent_calls) IS NOT NULL
    ) END AS counted_under
FROM jangbu.api_keys AS k
WHERE k.project = $1::text
    AND k.key_id = $2::uuid
    AND k.revoked_at IS NULL
    AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
