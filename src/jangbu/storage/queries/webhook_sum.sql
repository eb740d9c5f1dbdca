-- How the webhook stands: what waits, what was given up and can be sent again, what arrived last, and why the latest
-- attempt that failed did.
SELECT
    (
        SELECT count(*)
        FROM jangbu.webhook_events AS e
        WHERE e.project = $1::text AND e.delivered_at IS NULL AND e.given_up_at IS NULL
    ) AS waiting,
    (
        SELECT count(*)
        FROM jangbu.webhook_events AS e
        WHERE e.project = $1::text AND e.given_up_at IS NOT NULL
    ) AS given_up,
    (
        SELECT e.delivered_at
        FROM jangbu.webhook_events AS e
        WHERE e.project = $1::text AND e.delivered_at IS NOT NULL
        ORDER BY e.created_at DESC, e.id DESC
        LIMIT 1
    ) AS delivered_at,
    (
        SELECT e.error
        FROM jangbu.webhook_events AS e
        WHERE e.project = $1::text AND e.error IS NOT NULL AND e.delivered_at IS NULL
        ORDER BY e.created_at DESC, e.id DESC
        LIMIT 1
    ) AS error
