-- The keys that somebody may mean by an id, a hint, a name or a secret; few, newest first. Keys in force come first,
-- because a name is often given again to the key that follows a revoked one.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by
FROM jangbu.api_keys AS k
WHERE k.project = $1::text
    AND (k.key_id = $2::uuid OR k.digest = $3::bytea OR k.hint = $4::text OR k.name = $4::text)
ORDER BY k.revoked_at IS NOT NULL, k.created_at DESC, k.key_id DESC
LIMIT 10
