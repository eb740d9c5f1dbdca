-- Has a cache live for longer or shorter, by so many seconds from now on. One that has ended stays so:
-- what happened last is not always noted last, and a cache that was deleted would be paid for until its new end.
UPDATE jangbu.resources
SET expires_at = clock_timestamp() + $3::integer * interval '1 second'
WHERE account_id = $1::uuid
    AND name = $2::text
    AND kind = 'cache'
    AND (expires_at IS NULL OR expires_at > clock_timestamp())
