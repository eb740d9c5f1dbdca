-- Removes sessions whose time is over; they let nobody in any more, and are only removed.
DELETE FROM jangbu.sessions AS s
WHERE s.project = $1::text
    AND (
        s.expires_at <= clock_timestamp()
        OR s.last_seen_at <= clock_timestamp() - $2::integer * interval '1 second'
    )
