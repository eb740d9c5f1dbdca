-- Writes one entry that is no usage (grant, refund, adjustment, void, expiry) and moves the balance with it, once for
-- its idempotency key. The row of a grant is made in the same breath. No row comes back where the key was used before
-- or the account has no such balance.
WITH locked AS (
    SELECT account_id, asset, granted, used, version, head
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
entry AS MATERIALIZED (
    SELECT
        n.account_id, n.asset, n.seq, n.balance, n.at,
        jangbu.entry_hash(
            n.head, n.account_id, n.asset, n.seq, $3::text, $4::bigint, n.balance, NULL, $6::uuid, $9::text, n.at
        ) AS hash
    FROM (
        SELECT
            l.account_id, l.asset, l.version + 1 AS seq, l.granted - l.used + $4::bigint AS balance, l.head,
            clock_timestamp() AS at
        FROM locked AS l
        JOIN keyed AS k ON k.account_id = l.account_id
    ) AS n
),
moved AS (
    UPDATE jangbu.balances AS b
    SET granted = b.granted + $4::bigint,
        version = e.seq,
        head = e.hash,
        is_listed = false,
        updated_at = e.at
    FROM entry AS e
    WHERE b.account_id = e.account_id AND b.asset = e.asset
    RETURNING b.account_id, b.asset, b.granted, b.used, b.held, b.version
),
entered AS (
    INSERT INTO jangbu.entries (
        account_id, asset, seq, kind, delta, balance_after, reference, reason, created_at, hash, key
    )
    SELECT
        e.account_id, e.asset, e.seq, $3::text::jangbu.entry_kind, $4::bigint, e.balance, $6::uuid, $9::text, e.at,
        e.hash, $7::text
    FROM entry AS e
),
made AS (
    INSERT INTO jangbu.grants (account_id, id, asset, amount, source, priority, expires_at)
    SELECT m.account_id, $5::uuid, m.asset, $4::bigint, $10::text, $11::integer, $12::timestamptz
    FROM moved AS m
    WHERE $3::text = 'grant'
)
SELECT m.granted, m.used, m.held, m.version FROM moved AS m
