-- Open holds whose time was up longer ago than the grace: the sweep has ended none of them.
SELECT
    h.account_id,
    a.user_id,
    concat(
        'tokens of hold ', h.id, ', whose time was up at ',
        to_char(h.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ' UTC'
    ) AS what,
    '0' AS expected,
    h.amount::text AS found
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE h.state = 'open'
    AND h.expires_at < clock_timestamp() - $3::integer * interval '1 second'
    AND a.project = $1::text
LIMIT $2::integer
