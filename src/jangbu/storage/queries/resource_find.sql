-- One resource of an account; what is another's is not there.
SELECT
    account_id, user_id, name, kind, call_id, service, model, metadata, key_id, target, created_at, settled_at, size,
    begun_by_app
FROM jangbu.living_resources
WHERE account_id = $1::uuid AND name = $2::text
