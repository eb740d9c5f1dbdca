-- Notes what became of an attempt, unless the lease ran out and somebody else has the event by now, or somebody wanted it
-- sent again meanwhile. It is given up when its time is up, or at once where the receiver said that it wants it never.
UPDATE jangbu.webhook_events AS e
SET error = $3::text,
    due_at = clock_timestamp() + $4::integer * interval '1 millisecond',
    delivered_at = CASE WHEN $3::text IS NULL THEN clock_timestamp() END,
    given_up_at = CASE
        WHEN $3::text IS NOT NULL AND ($5::boolean OR e.gives_up_at <= clock_timestamp()) THEN clock_timestamp()
    END
WHERE e.id = $1::uuid AND e.turn = $2::integer AND e.delivered_at IS NULL AND e.given_up_at IS NULL
RETURNING e.given_up_at IS NOT NULL AS is_given_up
