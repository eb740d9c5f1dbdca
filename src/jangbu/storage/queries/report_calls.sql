-- A user's calls, newest first, from the one before a given id: a walk down the primary key that ends at the limit,
-- however many calls there are.
SELECT
    u.id,
    jangbu.uuid7_time(u.id) AS created_at,
    s.name AS service,
    m.name AS model,
    u.prompt + u.tool AS prompt_tokens,
    u.candidates + u.thoughts AS completion_tokens,
    u.total AS total_tokens,
    u.cost_nano,
    u.anomalies
FROM jangbu.usage AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE u.account_id = $1::uuid AND u.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY u.id DESC
LIMIT $3::integer
