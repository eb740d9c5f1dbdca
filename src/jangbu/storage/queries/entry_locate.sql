-- The number of an account's first entry at or after a moment, or the one that the next entry will have. Entries are
-- numbered without gaps in the order of their times, because each is written under the lock of its balance: so it is
-- found by halving, in twenty looks among a million, and times need no index.
WITH RECURSIVE span (low, high) AS (
    SELECT 1::bigint, b.version + 1
    FROM jangbu.balances AS b
    WHERE b.account_id = $1::uuid AND b.asset = $2::smallint
    UNION ALL
    SELECT
        CASE WHEN e.created_at >= $3::timestamptz THEN s.low ELSE (s.low + s.high) / 2 + 1 END,
        CASE WHEN e.created_at >= $3::timestamptz THEN (s.low + s.high) / 2 ELSE s.high END
    FROM span AS s
    LEFT JOIN jangbu.entries AS e
        ON e.account_id = $1::uuid AND e.asset = $2::smallint AND e.seq = (s.low + s.high) / 2
    WHERE s.low < s.high
)
SELECT low FROM span WHERE low = high
