-- What one member or key did, newest first; a statement of its own, so that it is found by its own index.
SELECT
    a.audit_id, a.at, a.actor_kind, a.actor_id, a.actor_name, a.action, a.target, a.before::text AS before,
    a.after::text AS after, a.request_id
FROM jangbu.audit AS a
WHERE a.project = $1::text
    AND (a.at, a.audit_id) < (
        coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    )
    AND a.actor_id = $5::uuid
ORDER BY a.at DESC, a.audit_id DESC
LIMIT $4::integer
