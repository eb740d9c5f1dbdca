-- Forgets a cache that is over, and writes down for how long it was kept where its making was recorded: a call that lacks
-- nothing but its price from then on, which is found of it, as of when it was recorded. Gives a row where the cache was
-- there until now, with the call, if it has no price yet. One that lives for longer by now is left alone.
WITH ended AS (
    DELETE FROM jangbu.resources AS r
    WHERE r.account_id = $1::uuid AND r.name = $2::text AND r.kind = 'cache' AND r.expires_at <= clock_timestamp()
    RETURNING r.account_id, greatest(1, ceil(extract(epoch FROM r.expires_at - r.created_at)))::bigint AS seconds
),
completed AS (
    UPDATE jangbu.usage AS u
    SET raw = jsonb_set(u.raw, '{units,cache_storage_seconds}', to_jsonb(e.seconds))
    FROM ended AS e
    JOIN jangbu.idempotency_keys AS k ON k.account_id = e.account_id AND k.key = $3::text
    WHERE u.account_id = k.account_id
        AND u.id = k.result_id
        AND u.cost_nano IS NULL
        AND u.raw #> '{units,cache_storage_tokens}' IS NOT NULL
        AND u.raw #> '{units,cache_storage_seconds}' IS NULL
    RETURNING u.account_id, u.id, u.recorded_at
),
found AS (
    INSERT INTO jangbu.findings (account_id, usage_id, kind, detail, created_at)
    SELECT c.account_id, c.id, 'unpriced', 'no price is known for what was used', c.recorded_at
    FROM completed AS c
    ON CONFLICT DO NOTHING
)
SELECT c.id
FROM ended AS e
LEFT JOIN completed AS c ON c.account_id = e.account_id
