-- Work of a project by the provider's name, whosever it is: an app that fetches a result names no user, because the one
-- who began it pays.
SELECT
    account_id, user_id, name, kind, call_id, service, model, metadata, key_id, target, created_at, settled_at, size,
    begun_by_app
FROM jangbu.living_resources
WHERE project = $1::text AND name = $2::text AND call_id IS NOT NULL
LIMIT 1
