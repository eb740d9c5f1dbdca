-- Notes an alert that was tried while the database was away, with what became of it: it is tried on, or it is over.
INSERT INTO jangbu.alerts (
    id, project, condition, phase, key, node, facts, raised_at, attempts, delivered_to, errors, delivered_at, given_up_at
)
SELECT
    $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text::jsonb, $8::timestamptz, $9::integer,
    $10::text[], $11::text::jsonb,
    CASE WHEN $12::boolean THEN clock_timestamp() END,
    CASE WHEN $13::boolean THEN clock_timestamp() END
ON CONFLICT DO NOTHING
