-- The next calls of some accounts, each from the one after a given id, oldest first: for each account a walk up the
-- primary key that ends at the limit, however many calls there are. What is read is bounded by accounts times limit, also
-- where few calls are meant: so each comes with the value of a tag that is asked for, with its key and with what tells how
-- it ended, and whoever asks leaves out those that are not meant. What was recorded after a moment is passed over, whatever
-- its id says: that is of the app's clock.
SELECT
    w.account_id, u.id, jangbu.uuid7_time(u.id) AS created_at, s.name AS service, m.name AS model, u.surface, u.tier,
    u.source, u.prompt + u.tool AS prompt_tokens, u.candidates + u.thoughts AS completion_tokens,
    u.cached AS cached_tokens, u.thoughts AS thinking_tokens, u.total AS total_tokens, u.cost_nano, u.input_cost_nano,
    u.charge_nano, u.price_version, u.response_id, u.anomalies, u.metadata::text AS metadata,
    u.hold_amount, u.late,
    (
        SELECT e.seq
        FROM jangbu.entries AS e
        WHERE e.account_id = w.account_id AND e.reference = u.id AND e.asset = 1 AND e.kind IN ('refund', 'void')
        LIMIT 1
    ) IS NOT NULL AS is_returned,
    u.metadata -> 'tags' ->> $6::text AS tag_value,
    coalesce(u.metadata ->> 'jangbu_key', '') AS key
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS w (account_id, after, place)
CROSS JOIN LATERAL (
    SELECT
        n.id, n.service_id, n.model_id, n.surface, n.tier, n.source, n.prompt, n.candidates, n.thoughts, n.tool,
        n.cached, n.total, n.cost_nano, n.input_cost_nano, n.charge_nano, n.price_version, n.response_id, n.anomalies,
        n.metadata, n.hold_amount, n.late
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id > w.after AND n.id < $3::uuid AND n.recorded_at <= $4::timestamptz
    ORDER BY n.id
    LIMIT $5::integer
) AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
ORDER BY w.place, u.id
