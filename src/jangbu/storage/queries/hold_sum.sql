-- What is held now, by state: the holds of calls under way, and of those whose outcome nobody knows.
SELECT h.state::text AS state, count(*) AS holds, sum(h.amount)::bigint AS tokens
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE h.state IN ('open', 'unknown') AND a.project = $1::text
GROUP BY h.state
