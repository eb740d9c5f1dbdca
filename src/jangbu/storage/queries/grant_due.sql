-- Accounts that own a grant whose time is up, and of which asset, by the database's clock, a page at a time: whoever cannot
-- lose anything yet (held tokens do not expire) keeps nobody else waiting.
SELECT DISTINCT g.account_id, g.asset
FROM jangbu.grants AS g
WHERE g.expires_at <= clock_timestamp() AND g.consumed + g.expired < g.amount
    AND (g.account_id, g.asset) > ($1::uuid, $2::smallint)
ORDER BY g.account_id, g.asset
LIMIT $3::integer
