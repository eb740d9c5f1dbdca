-- Those of a user's calls of a stretch of ids that ended in a way, that bear a tag or a value of it, that came by a key, and
-- that are of a service and a model, newest first; NULL is for any, and no key an empty text. No index and no rollup knows
-- of endings, tags and keys: it is a walk down the primary key, whose stretch the caller keeps short. What was given back of a call is looked for by its own id.
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
    r.is_returned
FROM jangbu.usage AS u
JOIN jangbu.services AS s ON s.service_id = u.service_id
JOIN jangbu.models AS m ON m.model_id = u.model_id
CROSS JOIN LATERAL (
    SELECT
        (
            SELECT e.seq
            FROM jangbu.entries AS e
            WHERE e.account_id = $1::uuid AND e.reference = u.id AND e.asset = 1 AND e.kind IN ('refund', 'void')
            LIMIT 1
        ) IS NOT NULL AS is_returned
) AS r
WHERE u.account_id = $1::uuid
    AND u.id >= $2::uuid
    AND u.id < $3::uuid
    AND ($5::text IS NULL OR s.name = $5::text)
    AND ($6::text IS NULL OR m.name = $6::text)
    AND (
        $7::text IS NULL
        OR CASE WHEN $8::text IS NULL THEN (u.metadata -> 'tags' ->> $7::text) IS NOT NULL
            ELSE u.metadata -> 'tags' ->> $7::text = $8::text END
    )
    AND (
        $9::text IS NULL
        OR $9::text = CASE
            WHEN r.is_returned THEN 'returned'
            WHEN u.late THEN 'late'
            WHEN u.hold_amount IS NULL THEN 'recorded'
            WHEN u.total > u.hold_amount THEN 'overrun'
            ELSE 'settled'
        END
    )
    AND ($10::text IS NULL OR coalesce(u.metadata ->> 'jangbu_key', '') = $10::text)
ORDER BY u.id DESC
LIMIT $4::integer
