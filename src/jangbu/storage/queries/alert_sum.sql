-- How many alerts wait, and how many were given up within a day: what somebody has to look at. Those that nobody tried to
-- send count where that is asked for: where no process has a channel for them, they were to go nowhere.
SELECT
    (
        SELECT count(*)
        FROM jangbu.alerts AS a
        WHERE a.project = $1::text AND a.delivered_at IS NULL AND a.given_up_at IS NULL
            AND a.muted_at IS NULL AND (a.attempts > 0 OR $2::boolean)
    ) AS waiting,
    (
        SELECT count(*)
        FROM jangbu.alerts AS a
        WHERE a.project = $1::text AND a.delivered_at IS NULL AND a.muted_at IS NULL
            AND a.given_up_at > clock_timestamp() - interval '1 day'
            AND a.created_at > clock_timestamp() - interval '31 days'
            AND (a.attempts > 0 OR $2::boolean)
    ) AS given_up
