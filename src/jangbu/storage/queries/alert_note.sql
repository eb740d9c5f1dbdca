-- Notes what became of an attempt, unless the lease ran out and somebody else has the alert by now.
UPDATE jangbu.alerts AS a
SET delivered_to = $3::text[],
    errors = $4::text::jsonb,
    due_at = clock_timestamp() + $6::integer * interval '1 millisecond',
    delivered_at = CASE WHEN $5::boolean THEN clock_timestamp() END,
    given_up_at = CASE
        WHEN NOT $5::boolean AND a.created_at <= clock_timestamp() - $7::integer * interval '1 second'
            THEN clock_timestamp()
    END
WHERE a.id = $1::uuid AND a.attempts = $2::integer AND a.delivered_at IS NULL AND a.given_up_at IS NULL
    AND a.muted_at IS NULL
