-- The names of the tags that calls of some accounts, of each from an id to before another, bear; NULL is for calls that
-- bear none. A call counts for one of its names alone, so that the sum tells how many there are. What callers attach need
-- not be tags by names.
SELECT k.name, count(*) FILTER (WHERE k.place IS NULL OR k.place = 1) AS calls
FROM unnest($1::uuid[], $4::uuid[], $5::uuid[]) AS w (account_id, first, after)
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN jsonb_typeof(n.metadata -> 'tags') = 'object' THEN n.metadata -> 'tags' END AS tags
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id >= w.first AND n.id < w.after AND n.recorded_at <= $6::timestamptz
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    OFFSET 0
) AS u
LEFT JOIN LATERAL jsonb_object_keys(u.tags) WITH ORDINALITY AS k (name, place) ON true
GROUP BY k.name
