-- How many open holds are past their time by more than a grace, and their tokens: nobody's sweeper has ended them.
SELECT count(*) AS holds, jangbu.sum(h.amount) AS tokens
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE h.state = 'open'
    AND h.expires_at < clock_timestamp() - $2::integer * interval '1 second'
    AND a.project = $1::text
