-- The keys of a project, newest first, as somebody looks at them, from the one before the last of a page.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by
FROM jangbu.api_keys AS k
WHERE k.project = $1::text AND ($2::uuid IS NULL OR k.account_id = $2::uuid)
    AND ($4::timestamptz IS NULL OR (k.created_at, k.key_id) < ($4::timestamptz, $5::uuid))
ORDER BY k.created_at DESC, k.key_id DESC
LIMIT $3::integer
