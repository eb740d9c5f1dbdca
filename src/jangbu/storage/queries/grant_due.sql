-- Accounts that own a grant whose time is up, by the database's clock.
SELECT DISTINCT g.account_id, g.asset
FROM jangbu.grants AS g
WHERE g.expires_at <= clock_timestamp() AND g.consumed + g.expired < g.amount
LIMIT $1::integer
