-- The keys by which a user's calls may have come, so many of each at most, newest first, revoked and expired ones too: the
-- user's own, and the apps'.
SELECT
    k.key_id, k.kind, k.name, k.user_id, k.hint, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
    k.concurrent_calls, k.expires_at, k.created_at, k.last_used_at, k.revoked_at, k.made_by
FROM (
    (
        SELECT o.key_id
        FROM jangbu.api_keys AS o
        WHERE o.account_id = $2::uuid AND o.project = $1::text
        ORDER BY o.created_at DESC, o.key_id DESC
        LIMIT $3::integer
    )
    UNION ALL
    (
        SELECT o.key_id
        FROM jangbu.api_keys AS o
        WHERE o.account_id IS NULL AND o.project = $1::text
        ORDER BY o.created_at DESC, o.key_id DESC
        LIMIT $3::integer
    )
) AS f
JOIN jangbu.api_keys AS k ON k.key_id = f.key_id
ORDER BY k.created_at DESC, k.key_id DESC
