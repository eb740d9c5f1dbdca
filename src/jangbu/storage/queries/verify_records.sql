-- An account's records in the order of their ids, a page after the last one seen. The page has a constant size, so that
-- one plan for all pages walks the keys of the partitions instead of sorting them. A record whose service or model has
-- lost its name is among them, without one.
SELECT
    u.account_id, u.id, a.user_id, coalesce(s.name, '') AS service, coalesce(m.name, '') AS model, u.surface,
    u.platform, u.tier, u.source, u.prompt, u.candidates, u.thoughts, u.tool, u.cached, u.total, u.cost_nano,
    u.input_cost_nano, u.charge_nano, u.price_version, u.hold_amount, u.late, u.posting, u.money_posting,
    u.response_id, u.anomalies, u.raw, u.metadata, u.recorded_at, jangbu.uuid7_time(u.id) AS created_at
FROM jangbu.usage AS u
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
LEFT JOIN jangbu.services AS s ON s.service_id = u.service_id
LEFT JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE u.account_id = $1::uuid AND u.id > $2::uuid
ORDER BY u.id
LIMIT 200
