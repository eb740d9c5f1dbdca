-- The names of the tags that calls of some accounts, of each from an id to before another, bear, a hundred at most: what
-- callers attach need not be tags by names.
SELECT DISTINCT k.name
FROM unnest($1::uuid[], $4::uuid[], $5::uuid[]) AS w (account_id, first, after)
CROSS JOIN LATERAL (
    SELECT n.metadata -> 'tags' AS tags
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id >= w.first AND n.id < w.after AND n.recorded_at <= $6::timestamptz
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
        AND jsonb_typeof(n.metadata -> 'tags') = 'object'
    OFFSET 0
) AS u
CROSS JOIN LATERAL jsonb_object_keys(u.tags) AS k (name)
ORDER BY k.name
LIMIT 100
