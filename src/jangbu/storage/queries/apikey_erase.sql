-- Ends the keys of an erased account, and takes from them whose they were and what they were called.
UPDATE jangbu.api_keys AS k
SET user_id = $2::text, name = $2::text, revoked_at = coalesce(k.revoked_at, clock_timestamp())
WHERE k.account_id = $1::uuid
