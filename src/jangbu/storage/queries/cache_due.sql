-- Caches of a project whose time is up, those first that have been over for longest: for how long each was kept has to be
-- written down before it is forgotten.
SELECT r.account_id, r.name
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE a.project = $1::text
    AND r.kind = 'cache'
    AND r.expires_at <= statement_timestamp()
    AND (r.call_id IS NULL OR r.settled_at IS NOT NULL)
ORDER BY r.expires_at
LIMIT $2::integer
