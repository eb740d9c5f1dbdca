-- What the calls of some accounts, of each from an id to before another, used by the value of a tag, or where none is named
-- by the key that they came by; NULL is for those that have no such tag, or came by none. Each is a walk along the primary
-- key: no rollup knows of tags, whose values have no end, nor of keys. Buckets are numbered from 1, by the first id that
-- there can be in each: an id says when its call was made.
SELECT
    u.bucket,
    u.value,
    count(*) AS calls,
    jangbu.sum(u.input) AS input_tokens,
    jangbu.sum(u.candidates) AS output_tokens,
    jangbu.sum(u.thoughts) AS thinking_tokens,
    jangbu.sum(u.cached) AS cached_tokens,
    jangbu.sum(u.total) AS total_tokens,
    jangbu.sum(coalesce(u.cost_nano, 0)) AS cost_nano,
    jangbu.sum(coalesce(u.input_cost_nano, 0)) AS input_cost_nano,
    jangbu.sum(coalesce(u.charge_nano, 0)) AS charge_nano,
    count(*) FILTER (WHERE u.cost_nano IS NULL) AS unpriced
FROM unnest($1::uuid[], $4::uuid[], $5::uuid[]) AS w (account_id, first, after)
CROSS JOIN LATERAL (
    SELECT
        width_bucket(n.id, $8::uuid[]) AS bucket,
        CASE WHEN $7::text IS NULL THEN n.metadata ->> 'jangbu_key' ELSE n.metadata -> 'tags' ->> $7::text END AS value,
        n.prompt + n.tool AS input, n.candidates, n.thoughts, n.cached,
        n.total, n.cost_nano, n.input_cost_nano, n.charge_nano
    FROM jangbu.usage AS n
    WHERE n.account_id = w.account_id AND n.id >= w.first AND n.id < w.after AND n.recorded_at <= $6::timestamptz
        AND ($2::text[] IS NULL OR n.model_id IN (SELECT model_id FROM jangbu.models WHERE name = ANY ($2::text[])))
        AND (
            $3::text[] IS NULL
            OR n.service_id IN (SELECT service_id FROM jangbu.services WHERE name = ANY ($3::text[]))
        )
    OFFSET 0
) AS u
GROUP BY u.bucket, u.value
