-- The events of a project, newest first, from the one before the last of a page; only those of one kind, user or state
-- where that is asked for.
SELECT
    e.id, e.project, e.kind, e.user_id, e.facts::text AS facts, e.created_at, e.due_at, e.attempts, e.error,
    e.delivered_at, e.given_up_at
FROM jangbu.webhook_events AS e
WHERE e.project = $1::text
    AND e.kind = ANY ($2::text[])
    AND CASE $3::text
        WHEN 'undelivered' THEN e.delivered_at IS NULL
        WHEN 'waiting' THEN e.delivered_at IS NULL AND e.given_up_at IS NULL
        WHEN 'given_up' THEN e.given_up_at IS NOT NULL
        WHEN 'delivered' THEN e.delivered_at IS NOT NULL
        ELSE true
    END
    AND ($7::text IS NULL OR e.user_id = $7::text)
    AND ($5::timestamptz IS NULL OR (e.created_at, e.id) < ($5::timestamptz, $6::uuid))
ORDER BY e.created_at DESC, e.id DESC
LIMIT $4::integer
