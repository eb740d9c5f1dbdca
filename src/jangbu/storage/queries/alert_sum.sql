-- How many alerts wait, and how many were given up within a day: what somebody has to look at.
SELECT
    (
        SELECT count(*)
        FROM jangbu.alerts AS a
        WHERE a.project = $1::text AND a.delivered_at IS NULL AND a.given_up_at IS NULL
            AND a.muted_at IS NULL
    ) AS waiting,
    (
        SELECT count(*)
        FROM jangbu.alerts AS a
        WHERE a.project = $1::text AND a.delivered_at IS NULL AND a.muted_at IS NULL
            AND a.given_up_at > clock_timestamp() - interval '1 day'
            AND a.created_at > clock_timestamp() - interval '31 days'
    ) AS given_up
