-- The alerts of a project, newest first, from the one before the last of a page; where that is asked for, only those that
-- did not reach everybody though they should. Conditions that this release does not know are left out: it has no words
-- for them.
SELECT
    a.id, a.project, a.condition, a.phase, a.key, a.node, a.facts::text AS facts, a.raised_at, a.created_at, a.due_at,
    a.attempts, a.delivered_to, a.errors::text AS errors, a.delivered_at, a.given_up_at, a.muted_at
FROM jangbu.alerts AS a
WHERE a.project = $1::text AND a.condition = ANY ($4::text[]) AND (NOT $2::boolean OR (a.delivered_at IS NULL AND a.muted_at IS NULL))
    AND ($5::timestamptz IS NULL OR (a.created_at, a.id) < ($5::timestamptz, $6::uuid))
ORDER BY a.created_at DESC, a.id DESC
LIMIT $3::integer
