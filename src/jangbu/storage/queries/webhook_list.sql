-- The events of a project, newest first, from the one before the last of a page; only those of one kind, user or state
-- where that is asked for. Those of a user, those that wait and those of one kind are found by an index each.
SELECT
    e.id, e.project, e.kind, e.user_id, e.facts::text AS facts, e.created_at, e.due_at, e.attempts, e.error,
    e.delivered_at, e.given_up_at
FROM (
    (
        SELECT o.id
        FROM jangbu.webhook_events AS o
        WHERE o.project = $1::text AND o.user_id = $7::text AND o.kind = ANY ($2::text[])
            AND CASE $3::text
                WHEN 'undelivered' THEN o.delivered_at IS NULL
                WHEN 'waiting' THEN o.delivered_at IS NULL AND o.given_up_at IS NULL
                WHEN 'given_up' THEN o.given_up_at IS NOT NULL
                WHEN 'delivered' THEN o.delivered_at IS NOT NULL
                ELSE true
            END
            AND ($5::timestamptz IS NULL OR (o.created_at, o.id) < ($5::timestamptz, $6::uuid))
        ORDER BY o.created_at DESC, o.id DESC
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT o.id
        FROM (
            -- Not in the order of the list, which is read to its end where nothing waits.
            SELECT d.id, d.created_at
            FROM jangbu.webhook_events AS d
            WHERE $7::text IS NULL AND $3::text = 'waiting' AND d.project = $1::text AND d.kind = ANY ($2::text[])
                AND d.delivered_at IS NULL AND d.given_up_at IS NULL
                AND ($5::timestamptz IS NULL OR (d.created_at, d.id) < ($5::timestamptz, $6::uuid))
            OFFSET 0
        ) AS o
        ORDER BY o.created_at DESC, o.id DESC
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT o.id
        FROM jangbu.webhook_events AS o
        WHERE $7::text IS NULL AND $3::text IS DISTINCT FROM 'waiting' AND cardinality($2::text[]) = 1
            AND o.project = $1::text AND o.kind = ($2::text[])[1]
            AND CASE $3::text
                WHEN 'undelivered' THEN o.delivered_at IS NULL
                WHEN 'given_up' THEN o.given_up_at IS NOT NULL
                WHEN 'delivered' THEN o.delivered_at IS NOT NULL
                ELSE true
            END
            AND ($5::timestamptz IS NULL OR (o.created_at, o.id) < ($5::timestamptz, $6::uuid))
        ORDER BY o.created_at DESC, o.id DESC
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT o.id
        FROM jangbu.webhook_events AS o
        WHERE $7::text IS NULL AND $3::text IS DISTINCT FROM 'waiting' AND cardinality($2::text[]) <> 1
            AND o.project = $1::text AND o.kind = ANY ($2::text[])
            AND CASE $3::text
                WHEN 'undelivered' THEN o.delivered_at IS NULL
                WHEN 'given_up' THEN o.given_up_at IS NOT NULL
                WHEN 'delivered' THEN o.delivered_at IS NOT NULL
                ELSE true
            END
            AND o.created_at <= coalesce($5::timestamptz, 'infinity')
            AND ($5::timestamptz IS NULL OR (o.created_at, o.id) < ($5::timestamptz, $6::uuid))
        ORDER BY o.created_at DESC, o.id DESC
        LIMIT $4::integer
    )
) AS w
JOIN jangbu.webhook_events AS e ON e.id = w.id
ORDER BY e.created_at DESC, e.id DESC
LIMIT $4::integer
