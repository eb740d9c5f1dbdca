-- Work of a project whose result nobody has seen yet, the oldest first, so that it is asked for before its hold ends. A
-- batch and the file of its results are both here; a Live session is not, because its turns are settled by themselves. What
-- the provider has no more (resource_lose.sql), or keeps no longer, is not here either: it would be asked for until the end
-- of time, before others, and its hold tells of it. What an app began with a key of its own only the app can ask for.
SELECT
    r.account_id, a.user_id, r.name, r.kind, r.call_id, r.service, r.model, r.metadata, r.key_id, r.target, r.created_at,
    r.settled_at, r.size, r.begun_by_app
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE a.project = $1::text
    AND r.call_id IS NOT NULL
    AND r.settled_at IS NULL
    AND NOT r.begun_by_app
    AND (r.expires_at IS NULL OR r.expires_at > clock_timestamp())
    AND r.name NOT LIKE 'sessions/%'
    AND r.created_at <= clock_timestamp() - $2::integer * interval '1 second'
    AND (r.created_at, r.name) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
ORDER BY r.created_at, r.name
LIMIT $5::integer
