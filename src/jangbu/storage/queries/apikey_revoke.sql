-- Ends a key for good; again it changes nothing, the first moment stands.
UPDATE jangbu.api_keys AS k
SET revoked_at = coalesce(k.revoked_at, clock_timestamp())
WHERE k.project = $1::text AND k.key_id = $2::uuid
RETURNING
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by
