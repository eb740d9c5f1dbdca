-- Lists an erased account under its new name from now on.
UPDATE jangbu.directory AS d SET user_id = $2::text WHERE d.account_id = $1::uuid
