-- Forgets what an erased account has at the provider: names are the user's own words. None of it is waited for any more,
-- because the account holds nothing, and to everybody else it does not exist.
DELETE FROM jangbu.resources AS r WHERE r.account_id = $1::uuid
