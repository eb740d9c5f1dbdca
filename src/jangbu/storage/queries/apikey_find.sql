-- The keys that callers show, by the digests of their secrets, with the moment at which they were looked at: whether a
-- key has expired is judged by the database's clock.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at,
    k.digest, clock_timestamp() AS seen_at
FROM jangbu.api_keys AS k
WHERE k.digest = ANY ($2::bytea[]) AND k.project = $1::text
