-- How channels of the operator stand: when an alert arrived by each last, why one that is not over did not, and how many
-- such there are; and how the latest test ended.
SELECT
    c.channel,
    (
        SELECT a.delivered_at
        FROM jangbu.alerts AS a
        WHERE a.project = $1::text AND c.channel = ANY (a.delivered_to) AND a.delivered_at IS NOT NULL
        ORDER BY a.created_at DESC
        LIMIT 1
    ) AS delivered_at,
    f.failing, f.error, t.tested_at, t.tested_by, t.ended_at, t.error AS test_error
FROM unnest($2::text[]) WITH ORDINALITY AS c (channel, place)
CROSS JOIN LATERAL (
    SELECT count(*) AS failing, (array_agg(a.errors ->> c.channel ORDER BY a.created_at DESC))[1] AS error
    FROM jangbu.alerts AS a
    WHERE a.project = $1::text AND a.delivered_at IS NULL AND a.muted_at IS NULL AND a.errors ? c.channel
        AND a.created_at > clock_timestamp() - interval '1 day'
) AS f
LEFT JOIN jangbu.channel_tests AS t ON t.project = $1::text AND t.channel = c.channel
ORDER BY c.place
