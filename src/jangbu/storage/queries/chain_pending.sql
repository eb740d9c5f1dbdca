-- Balances whose entries are not chained yet, in the order of accounts, with the last entry that is, where one is: a
-- page, after the last one seen.
SELECT b.account_id, b.asset, coalesce(e.seq, 0) AS seq, coalesce(e.hash, '') AS hash
FROM jangbu.balances AS b
LEFT JOIN LATERAL (
    SELECT seq, hash
    FROM jangbu.entries
    WHERE account_id = b.account_id AND asset = b.asset AND hash IS NOT NULL
    ORDER BY seq DESC
    LIMIT 1
) AS e ON true
WHERE b.head IS NULL AND (b.account_id, b.asset) > ($1::uuid, $2::smallint)
ORDER BY b.account_id, b.asset
LIMIT $3::integer
