-- One event of a project, with what became of it.
SELECT
    e.id, e.project, e.kind, e.user_id, e.facts::text AS facts, e.created_at, e.due_at, e.attempts, e.error,
    e.delivered_at, e.given_up_at
FROM jangbu.webhook_events AS e
WHERE e.project = $1::text AND e.id = $2::uuid AND e.kind = ANY ($3::text[])
