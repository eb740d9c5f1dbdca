-- Gives holds back. Balances are locked first and in order; a hold that is closed already moves nothing. The closed row
-- stays for a while as a mark, so that a late repetition cannot hold again.
WITH item AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS t (account_id, id, reason)
),
locked AS (
    SELECT b.account_id
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[]) AND b.asset = 1
    ORDER BY b.account_id
    FOR NO KEY UPDATE
),
released AS (
    UPDATE jangbu.holds AS h
    SET state = 'released', reason = i.reason, closed_at = clock_timestamp()
    FROM item AS i
    JOIN locked AS l ON l.account_id = i.account_id
    WHERE h.account_id = i.account_id AND h.id = i.id AND h.state IN ('open', 'unknown')
    RETURNING h.account_id, h.id, h.amount
),
moved AS (
    UPDATE jangbu.balances AS b
    SET held = b.held - r.amount,
        updated_at = clock_timestamp()
    FROM (SELECT account_id, sum(amount)::bigint AS amount FROM released GROUP BY account_id) AS r
    WHERE b.account_id = r.account_id AND b.asset = 1 AND b.account_id = ANY ($1::uuid[])
),
resolved AS (
    UPDATE jangbu.findings AS f
    SET resolved_at = clock_timestamp()
    FROM released AS r
    WHERE f.account_id = r.account_id AND f.usage_id = r.id AND f.kind = 'unknown_outcome' AND f.resolved_at IS NULL
)
SELECT i.id, r.id IS NOT NULL AS released
FROM item AS i
LEFT JOIN released AS r ON r.account_id = i.account_id AND r.id = i.id
