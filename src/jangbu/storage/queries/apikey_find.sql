-- The keys that callers show, by the digests of their secrets, with the moment at which they were looked at: whether a
-- key has expired is judged by the database's clock. counted_under are the keys with limits that made them, from the
-- nearest on.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by,
    k.digest, clock_timestamp() AS seen_at,
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
WHERE k.digest = ANY ($2::bytea[]) AND k.project = $1::text
