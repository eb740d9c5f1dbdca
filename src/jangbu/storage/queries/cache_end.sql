-- Has a cache be over by now, which its owner deleted. Where its time was up before, that is when it ended.
UPDATE jangbu.resources
SET expires_at = least(expires_at, clock_timestamp())
WHERE account_id = $1::uuid AND name = $2::text AND kind = 'cache'
