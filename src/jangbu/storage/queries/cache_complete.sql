-- Writes down for how long a cache was kept that is over, once, where its making was recorded: a call that lacks nothing
-- but its price from then on, which is found of it, as of when it was recorded. Gives the call while it has no price,
-- also where somebody else wrote it down.
WITH made AS (
    SELECT
        u.account_id, u.id, u.raw, u.recorded_at,
        greatest(1, ceil(extract(epoch FROM r.expires_at - r.created_at)))::bigint AS seconds
    FROM jangbu.resources AS r
    JOIN jangbu.idempotency_keys AS k ON k.account_id = r.account_id AND k.key = $3::text
    JOIN jangbu.usage AS u ON u.account_id = k.account_id AND u.id = k.result_id
    WHERE r.account_id = $1::uuid
        AND r.name = $2::text
        AND r.kind = 'cache'
        AND r.expires_at <= clock_timestamp()
        AND u.cost_nano IS NULL
        AND u.raw #> '{units,cache_storage_tokens}' IS NOT NULL
),
completed AS (
    UPDATE jangbu.usage AS u
    SET raw = jsonb_set(u.raw, '{units,cache_storage_seconds}', to_jsonb(m.seconds))
    FROM made AS m
    WHERE u.account_id = m.account_id AND u.id = m.id AND u.raw #> '{units,cache_storage_seconds}' IS NULL
    RETURNING u.account_id, u.id
),
found AS (
    INSERT INTO jangbu.findings (account_id, usage_id, kind, detail, created_at)
    SELECT m.account_id, m.id, 'unpriced', 'no price is known for what was used', m.recorded_at
    FROM made AS m
    JOIN completed AS c ON c.account_id = m.account_id AND c.id = m.id
    ON CONFLICT DO NOTHING
)
SELECT id FROM made
