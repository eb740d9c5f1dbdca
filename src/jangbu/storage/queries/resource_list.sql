-- An account's resources of one kind, newest first: the provider's own list shows everybody's. Digests of
-- contents stay where they are, because a page of them can be large. What an app began with a key of its own is in no list
-- of the gateway's key.
SELECT
    account_id, user_id, name, kind, call_id, service, model,
    CASE WHEN call_id IS NOT NULL THEN metadata END AS metadata,
    key_id, target, created_at, settled_at, size, begun_by_app
FROM jangbu.living_resources
WHERE account_id = $1::uuid
    AND kind = $2::text::jangbu.resource_kind
    AND NOT begun_by_app
    AND (created_at, name) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
ORDER BY created_at DESC, name DESC
LIMIT $5::integer
