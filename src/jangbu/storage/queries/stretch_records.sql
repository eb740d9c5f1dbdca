-- The records of some accounts, of each from an id to before another, whole, as far as they were there at a moment: of some
-- models and services, or of all. Each is a walk along the primary key, and what is not meant is not taken from it.
SELECT
    u.account_id, u.id, a.user_id, s.name AS service, m.name AS model, u.surface, u.platform, u.tier, u.source,
    u.prompt, u.candidates, u.thoughts, u.tool, u.cached, u.total, u.cost_nano, u.input_cost_nano, u.charge_nano,
    u.price_version, u.hold_amount, u.late, u.posting, u.money_posting, u.response_id, u.anomalies, u.raw, u.metadata,
    u.recorded_at, jangbu.uuid7_time(u.id) AS created_at
FROM unnest($1::uuid[], $4::uuid[], $5::uuid[]) AS w (account_id, first, after)
JOIN jangbu.accounts AS a ON a.account_id = w.account_id
CROSS JOIN LATERAL (
    SELECT
        n.account_id, n.id, n.service_id, n.model_id, n.surface, n.platform, n.tier, n.source, n.prompt, n.candidates,
        n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano, n.charge_nano, n.price_version,
        n.hold_amount, n.late, n.posting, n.money_posting, n.response_id, n.anomalies, n.raw, n.metadata, n.recorded_at
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id >= w.first AND n.id < w.after AND n.recorded_at <= $6::timestamptz
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    OFFSET 0
) AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
