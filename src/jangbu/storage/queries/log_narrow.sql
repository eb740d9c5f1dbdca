-- A user's calls of a stretch of ids that are of one service, one model or both, newest first, each with how it ended.
-- Calls have no index by service and model: the rollups tell the latest quarters of an hour that have such calls, each
-- of them at least one. The newest quarter may have none before the last id, so there is one more of them than calls
-- are asked for.
WITH quarter AS (
    SELECT q.at
    FROM (
        (
            SELECT DISTINCT r.at
            FROM jangbu.usage_quarters AS r
            WHERE r.account_id = $1::uuid
                AND r.at >= date_bin('15 minutes', jangbu.uuid7_time($2::uuid), '2000-01-01Z')
                AND r.at <= jangbu.uuid7_time($3::uuid)
                AND ($5::text IS NULL OR r.service_id = (SELECT service_id FROM jangbu.services WHERE name = $5::text))
                AND ($6::text IS NULL OR r.model_id = (SELECT model_id FROM jangbu.models WHERE name = $6::text))
            ORDER BY r.at DESC
            LIMIT $4::integer + 1
        )
        UNION
        (
            SELECT DISTINCT n.at
            FROM jangbu.usage_recent AS n
            WHERE n.account_id = $1::uuid
                AND n.at >= date_bin('15 minutes', jangbu.uuid7_time($2::uuid), '2000-01-01Z')
                AND n.at <= jangbu.uuid7_time($3::uuid)
                AND ($5::text IS NULL OR n.service_id = (SELECT service_id FROM jangbu.services WHERE name = $5::text))
                AND ($6::text IS NULL OR n.model_id = (SELECT model_id FROM jangbu.models WHERE name = $6::text))
            ORDER BY n.at DESC
            LIMIT $4::integer + 1
        )
    ) AS q
    ORDER BY q.at DESC
    LIMIT $4::integer + 1
),
call AS (
    SELECT
        u.id, u.recorded_at, u.service_id, u.model_id, u.prompt, u.tool, u.candidates, u.thoughts, u.total, u.cost_nano,
        u.price_version, u.hold_amount, u.late, u.response_id, u.anomalies
    FROM quarter AS q
    CROSS JOIN LATERAL (
        SELECT
            r.id, r.recorded_at, r.service_id, r.model_id, r.prompt, r.tool, r.candidates, r.thoughts, r.total,
            r.cost_nano, r.price_version, r.hold_amount, r.late, r.response_id, r.anomalies
        FROM jangbu.usage AS r
        WHERE r.account_id = $1::uuid
            AND r.id >= greatest($2::uuid, jangbu.uuid7_floor(q.at))
            AND r.id < least($3::uuid, jangbu.uuid7_floor(q.at + interval '15 minutes'))
            AND ($5::text IS NULL OR r.service_id = (SELECT service_id FROM jangbu.services WHERE name = $5::text))
            AND ($6::text IS NULL OR r.model_id = (SELECT model_id FROM jangbu.models WHERE name = $6::text))
        ORDER BY r.id DESC
        LIMIT $4::integer
    ) AS u
    ORDER BY q.at DESC, u.id DESC
    LIMIT $4::integer
)
SELECT
    c.id,
    jangbu.uuid7_time(c.id) AS created_at,
    c.recorded_at,
    s.name AS service,
    m.name AS model,
    c.prompt + c.tool AS prompt_tokens,
    c.candidates + c.thoughts AS completion_tokens,
    c.total AS total_tokens,
    c.cost_nano,
    c.price_version,
    c.hold_amount,
    c.late,
    c.response_id,
    c.anomalies,
    (
        SELECT e.seq
        FROM jangbu.entries AS e
        WHERE e.account_id = $1::uuid AND e.reference = c.id AND e.asset = 1 AND e.kind IN ('refund', 'void')
        LIMIT 1
    ) IS NOT NULL AS is_returned
FROM call AS c
JOIN jangbu.services AS s ON s.service_id = c.service_id
JOIN jangbu.models AS m ON m.model_id = c.model_id
ORDER BY c.id DESC
