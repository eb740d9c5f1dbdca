-- What was read of a resource's content as it passed. Where a call waits, metadata is the call's own.
SELECT metadata
FROM jangbu.living_resources
WHERE account_id = $1::uuid AND name = $2::text AND call_id IS NULL
