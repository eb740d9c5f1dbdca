-- A user's calls of a stretch of ids, newest first, each with how it ended: a walk down the primary key that ends at
-- the limit, however many calls there are. What was given back of a call is looked for by its own id.
SELECT
    u.id,
    jangbu.uuid7_time(u.id) AS created_at,
    u.recorded_at,
    s.name AS service,
    m.name AS model,
    u.prompt + u.tool AS prompt_tokens,
    u.candidates + u.thoughts AS completion_tokens,
    u.total AS total_tokens,
    u.cost_nano,
    u.price_version,
    u.hold_amount,
    u.late,
    u.response_id,
    u.anomalies,
    (
        SELECT e.seq
        FROM jangbu.entries AS e
        WHERE e.account_id = $1::uuid AND e.reference = u.id AND e.asset = 1 AND e.kind IN ('refund', 'void')
        LIMIT 1
    ) IS NOT NULL AS is_returned
FROM jangbu.usage AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE u.account_id = $1::uuid AND u.id >= $2::uuid AND u.id < $3::uuid
ORDER BY u.id DESC
LIMIT $4::integer
