-- Debits against the records they sum, by posting and kind. Money is compared where the posting has a money entry. Calls
-- without tokens leave the version where it is, so a posting may have several money entries: they are summed. What was
-- recorded before the account's first money entry is charged in money only where its price was filled in later, which
-- the entry's reason tells: up to all of it may be.
WITH account AS (
    SELECT account_id, user_id FROM jangbu.accounts WHERE project = $1::text
),
money AS (
    SELECT e.account_id, e.created_at AS since
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WHERE e.asset = 2 AND e.seq = 1
),
entered AS (
    SELECT
        e.account_id, e.asset, e.posting, e.kind, -sum(e.delta) AS amount, bool_or(e.reason IS NOT NULL) AS priced_later
    FROM jangbu.entries AS e
    JOIN account AS a ON a.account_id = e.account_id
    WHERE e.kind IN ('usage', 'overrun')
    GROUP BY e.account_id, e.asset, e.posting, e.kind
),
recorded AS (
    SELECT
        u.account_id,
        p.asset,
        u.posting,
        CASE WHEN u.total > u.hold_amount THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind AS kind,
        coalesce(sum(p.amount) FILTER (WHERE p.asset = 1 OR u.recorded_at >= m.since), 0) AS amount,
        sum(p.amount) AS amount_most
    FROM jangbu.usage AS u
    JOIN account AS a ON a.account_id = u.account_id
    LEFT JOIN money AS m ON m.account_id = u.account_id
    CROSS JOIN LATERAL (VALUES (1::smallint, u.total), (2::smallint, u.charge_nano)) AS p (asset, amount)
    WHERE p.amount > 0
    GROUP BY u.account_id, p.asset, u.posting, 4
)
SELECT
    a.account_id,
    a.user_id,
    concat(CASE asset WHEN 1 THEN 'tokens' ELSE 'money' END, ' of posting ', posting, ', ', kind) AS what,
    coalesce(r.amount, 0)::text AS expected,
    coalesce(e.amount, 0)::text AS found
FROM entered AS e
FULL JOIN recorded AS r USING (account_id, asset, posting, kind)
JOIN account AS a USING (account_id)
WHERE coalesce(r.amount, 0) <> coalesce(e.amount, 0)
    AND (asset = 1 OR e.account_id IS NOT NULL)
    AND NOT (coalesce(e.priced_later, false) AND e.amount BETWEEN r.amount AND r.amount_most)
LIMIT $2::integer
