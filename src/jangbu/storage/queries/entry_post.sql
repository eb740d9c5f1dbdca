-- Writes one entry that is no usage (grant, refund, adjustment, void, expiry) and moves the balance with it, once for
-- its idempotency key. The row of a grant is made in the same breath. No row comes back where the key was used before
-- or the account has no such balance.
WITH locked AS (
    SELECT account_id, asset
    FROM jangbu.balances
    WHERE account_id = $1::uuid AND asset = $2::smallint
    FOR NO KEY UPDATE
),
keyed AS (
    INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
    SELECT l.account_id, $7::text, $8::bytea, $5::uuid FROM locked AS l
    ON CONFLICT DO NOTHING
    RETURNING account_id
),
moved AS (
    UPDATE jangbu.balances AS b
    SET granted = b.granted + $4::bigint,
        version = b.version + 1,
        updated_at = clock_timestamp()
    FROM keyed AS k
    WHERE b.account_id = k.account_id AND b.asset = $2::smallint
    RETURNING b.account_id, b.asset, b.granted, b.used, b.held, b.version
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, reference, reason)
    SELECT
        m.account_id, m.asset, m.version, $3::text::jangbu.entry_kind, $4::bigint, m.granted - m.used, $6::uuid,
        $9::text
    FROM moved AS m
),
made AS (
    INSERT INTO jangbu.grants (account_id, id, asset, amount, source, priority, expires_at)
    SELECT m.account_id, $5::uuid, m.asset, $4::bigint, $10::text, $11::integer, $12::timestamptz
    FROM moved AS m
    WHERE $3::text = 'grant'
)
SELECT m.granted, m.used, m.held, m.version FROM moved AS m
