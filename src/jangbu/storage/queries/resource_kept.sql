-- How much an account has the provider keep: files and their bytes, those under way among them, and caches, with the
-- tokens of those that were told how many they have.
SELECT
    count(*) FILTER (WHERE size IS NOT NULL) AS files,
    coalesce(sum(size), 0)::bigint AS bytes,
    count(*) FILTER (WHERE kind = 'cache') AS caches,
    coalesce(sum((metadata ->> 'tokens')::bigint) FILTER (WHERE kind = 'cache'), 0)::bigint AS cache_tokens
FROM jangbu.resources
WHERE account_id = $1::uuid
    AND (size IS NOT NULL OR kind = 'cache')
    AND (expires_at IS NULL OR expires_at > clock_timestamp())
