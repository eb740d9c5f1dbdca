-- Which calls read a file of an account, whether they still hold anything, and what they started, where that is known
-- and has shown no result yet.
SELECT u.call_id, h.id IS NOT NULL AS holds, b.name AS work
FROM jangbu.resources AS r
CROSS JOIN LATERAL unnest(r.uses) AS u (call_id)
LEFT JOIN jangbu.holds AS h
    ON h.account_id = r.account_id AND h.id = u.call_id AND h.state IN ('open', 'unknown')
LEFT JOIN jangbu.resources AS b
    ON b.account_id = r.account_id AND b.call_id = u.call_id AND b.settled_at IS NULL AND b.kind = 'batch'
WHERE r.account_id = $1::uuid AND r.name = $2::text
