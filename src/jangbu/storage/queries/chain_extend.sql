-- Chains the next entries of balances whose chain is not complete, so many of each at most, and gives how far each has
-- come. The balances are locked first and in order: nothing is entered meanwhile, and a balance whose last entry is
-- chained gets its hash, from which on all that is entered is chained at once. Again it changes nothing.
WITH RECURSIVE pending AS (
    SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[]) AS t (account_id, asset, seq, hash)
),
locked AS (
    SELECT b.account_id, b.asset, b.version
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[]) AND b.head IS NULL
    ORDER BY b.account_id, b.asset
    FOR NO KEY UPDATE
),
link AS (
    SELECT l.account_id, l.asset, p.seq, p.hash, p.seq + $5::integer AS last
    FROM locked AS l
    JOIN pending AS p ON p.account_id = l.account_id AND p.asset = l.asset
    UNION ALL
    SELECT
        k.account_id,
        k.asset,
        e.seq,
        jangbu.entry_hash(
            k.hash, e.account_id, e.asset, e.seq, e.kind::text, e.delta, e.balance_after, e.posting, e.reference,
            e.reason, e.created_at
        ),
        k.last
    FROM link AS k
    JOIN jangbu.entries AS e ON e.account_id = k.account_id AND e.asset = k.asset AND e.seq = k.seq + 1
    WHERE k.seq < k.last
),
written AS (
    UPDATE jangbu.entries AS e
    SET hash = k.hash
    FROM link AS k
    WHERE e.account_id = k.account_id AND e.asset = k.asset AND e.seq = k.seq AND e.hash IS NULL
),
reached AS (
    SELECT DISTINCT ON (account_id, asset) account_id, asset, seq, hash
    FROM link
    ORDER BY account_id, asset, seq DESC
),
completed AS (
    UPDATE jangbu.balances AS b
    SET head = r.hash
    FROM reached AS r
    JOIN locked AS l ON l.account_id = r.account_id AND l.asset = r.asset
    WHERE b.account_id = r.account_id AND b.asset = r.asset AND r.seq = l.version
    RETURNING b.account_id, b.asset
)
SELECT r.account_id, r.asset, r.seq, r.hash
FROM reached AS r
LEFT JOIN completed AS c ON c.account_id = r.account_id AND c.asset = r.asset
WHERE c.account_id IS NULL
