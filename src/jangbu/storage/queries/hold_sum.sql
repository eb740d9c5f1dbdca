-- What is held now, by state: the holds of calls under way, and of those whose outcome nobody knows, each found by an index
-- that has nothing else.
SELECT h.state::text AS state, count(*) AS holds, sum(h.amount)::bigint AS tokens
FROM (
    SELECT o.account_id, o.state, o.amount FROM jangbu.holds AS o WHERE o.state = 'open'
    UNION ALL
    SELECT u.account_id, u.state, u.amount FROM jangbu.holds AS u WHERE u.state = 'unknown'
) AS h
WHERE (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = h.account_id) = $1::text
GROUP BY h.state
