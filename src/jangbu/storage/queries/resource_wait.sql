-- Work of a project whose result nobody has seen yet, the oldest first, so that it is asked for before its hold ends. A
-- batch and the file of its results are both here; a Live session is not, because its turns are settled by themselves.
SELECT account_id, user_id, name, kind, call_id, service, model, metadata, key_id, target, created_at, settled_at, size
FROM jangbu.living_resources
WHERE project = $1::text
    AND call_id IS NOT NULL
    AND settled_at IS NULL
    AND name NOT LIKE 'sessions/%'
    AND created_at <= clock_timestamp() - $2::integer * interval '1 second'
    AND (created_at, name) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
ORDER BY created_at, name
LIMIT $5::integer
