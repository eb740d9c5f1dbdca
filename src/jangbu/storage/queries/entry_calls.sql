-- The calls that a debit sums, newest first, among those whose ids lie between two: a walk over the account's records
-- of that time, because records have no index by their posting, which each of them would pay for.
SELECT
    u.id,
    jangbu.uuid7_time(u.id) AS created_at,
    s.name AS service,
    m.name AS model,
    u.prompt + u.tool AS prompt_tokens,
    u.candidates + u.thoughts AS completion_tokens,
    u.total AS total_tokens,
    u.cost_nano,
    u.anomalies,
    CASE WHEN $2::smallint = 1 THEN u.total ELSE u.charge_nano END AS amount
FROM jangbu.usage AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE u.account_id = $1::uuid
    AND CASE WHEN $2::smallint = 1 THEN u.posting ELSE u.money_posting END = $3::bigint
    AND CASE WHEN $2::smallint = 1 THEN u.total ELSE u.charge_nano END > 0
    AND coalesce(u.total > u.hold_amount, false) = $4::boolean
    AND u.id >= $5::uuid AND u.id < $6::uuid
ORDER BY u.id DESC
LIMIT $7::integer
