-- How many files an account has the provider keep, and their bytes, those under way among them.
SELECT count(*) AS files, coalesce(sum(size), 0)::bigint AS bytes
FROM jangbu.resources
WHERE account_id = $1::uuid
    AND size IS NOT NULL
    AND (expires_at IS NULL OR expires_at > clock_timestamp())
