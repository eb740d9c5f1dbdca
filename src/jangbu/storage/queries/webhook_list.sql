-- The events of a project, newest first, from the one before the last of a page; only those that did not arrive, or of
-- one kind, where that is asked for.
SELECT
    e.id, e.project, e.kind, e.user_id, e.facts::text AS facts, e.created_at, e.due_at, e.attempts, e.error,
    e.delivered_at, e.given_up_at
FROM jangbu.webhook_events AS e
WHERE e.project = $1::text
    AND e.kind = ANY ($2::text[])
    AND (NOT $3::boolean OR e.delivered_at IS NULL)
    AND ($5::timestamptz IS NULL OR (e.created_at, e.id) < ($5::timestamptz, $6::uuid))
ORDER BY e.created_at DESC, e.id DESC
LIMIT $4::integer
