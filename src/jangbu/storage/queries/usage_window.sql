-- The next records of some accounts, whole, each from the one after a given id to before another, oldest first: of all
-- models, or of those that have one of the names or begin with one of the prefixes. For each account a walk up the
-- primary key, so that the months before and after the ids are looked into once and no more.
SELECT
    u.account_id, u.id, a.user_id, s.name AS service, m.name AS model, u.surface, u.platform, u.tier, u.source,
    u.prompt, u.candidates, u.thoughts, u.tool, u.cached, u.total, u.cost_nano, u.input_cost_nano, u.charge_nano,
    u.price_version, u.hold_amount, u.late, u.posting, u.money_posting, u.response_id, u.anomalies, u.raw, u.metadata,
    u.recorded_at, jangbu.uuid7_time(u.id) AS created_at
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS w (account_id, after, place)
JOIN jangbu.accounts AS a ON a.account_id = w.account_id
CROSS JOIN LATERAL (
    SELECT
        n.account_id, n.id, n.service_id, n.model_id, n.surface, n.platform, n.tier, n.source, n.prompt, n.candidates,
        n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano, n.charge_nano, n.price_version,
        n.hold_amount, n.late, n.posting, n.money_posting, n.response_id, n.anomalies, n.raw, n.metadata, n.recorded_at
    FROM jangbu.usage AS n
    WHERE
        n.account_id = w.account_id
        AND n.id > w.after
        AND n.id < $3::uuid
        AND (
            $4::text[] IS NULL
            OR n.model_id = ANY (ARRAY(
                SELECT k.model_id
                FROM jangbu.models AS k
                JOIN unnest($4::text[]) AS p (pattern)
                    ON k.name = p.pattern OR (right(p.pattern, 1) = '*' AND starts_with(k.name, left(p.pattern, -1)))
            ))
        )
    ORDER BY n.id
    LIMIT $5::integer
) AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
ORDER BY w.place, u.id
