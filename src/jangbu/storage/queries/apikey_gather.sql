-- Some keys of a project by their ids, revoked and expired ones too: what calls say of keys is told with their names.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by
FROM jangbu.api_keys AS k
WHERE k.project = $1::text AND k.key_id = ANY ($2::uuid[])
