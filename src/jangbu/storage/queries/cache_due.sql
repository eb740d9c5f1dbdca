-- Caches of a project whose time is up, those first that have been over for longest, from the one after another. Whose they
-- are is looked up one by one: a plan that was made while there were few accounts would begin with all of them.
SELECT r.account_id, r.name, r.expires_at
FROM jangbu.resources AS r
WHERE r.kind = 'cache'
    AND r.expires_at <= statement_timestamp()
    AND (r.call_id IS NULL OR r.settled_at IS NOT NULL)
    AND (r.expires_at, r.name) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    AND (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = r.account_id) = $1::text
ORDER BY r.expires_at, r.name
LIMIT $4::integer
