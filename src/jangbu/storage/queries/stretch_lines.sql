-- The latest calls of some accounts, of each from an id to before another, newest first: each account is a walk along the
-- primary key, backwards, that ends at the limit.
SELECT
    u.id, jangbu.uuid7_time(u.id) AS created_at, a.user_id AS user, s.name AS service, m.name AS model,
    u.total AS total_tokens, u.cost_nano, u.charge_nano
FROM unnest($1::uuid[], $4::uuid[], $5::uuid[]) AS w (account_id, first, after)
CROSS JOIN LATERAL (
    SELECT
        n.account_id, n.id, n.service_id, n.model_id, n.total, n.cost_nano, n.charge_nano
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id >= w.first AND n.id < w.after AND n.recorded_at <= $6::timestamptz
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    ORDER BY n.id DESC
    LIMIT $7::integer
) AS u
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
ORDER BY u.id DESC
LIMIT $7::integer
