-- Some records of a project from a span of time, whole, in the order of their key from one record on: of all models, or
-- of those that have one of the names or begin with one of the prefixes. A walk along the primary key, whose pages take
-- together one look at each record of the months that the span touches.
SELECT
    u.account_id, u.id, a.user_id, s.name AS service, m.name AS model, u.surface, u.platform, u.tier, u.source,
    u.prompt, u.candidates, u.thoughts, u.tool, u.cached, u.total, u.cost_nano, u.input_cost_nano, u.charge_nano,
    u.price_version, u.hold_amount, u.late, u.posting, u.money_posting, u.response_id, u.anomalies, u.raw, u.metadata,
    u.recorded_at, jangbu.uuid7_time(u.id) AS created_at
FROM jangbu.usage AS u
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
WHERE
    a.project = $1::text
    AND (u.account_id, u.id) > ($2::uuid, $3::uuid)
    AND u.id >= $4::uuid
    AND u.id < $5::uuid
    AND (
        $6::text[] IS NULL
        OR m.name = ANY ($6::text[])
        OR EXISTS (
            SELECT FROM unnest($6::text[]) AS p (pattern)
            WHERE right(p.pattern, 1) = '*' AND starts_with(m.name, left(p.pattern, -1))
        )
    )
ORDER BY u.account_id, u.id
LIMIT $7::integer
