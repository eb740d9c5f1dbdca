-- Gives holds back. Balances are locked first and in order; a hold that is closed already moves nothing. The closed row
-- stays for a while as a mark, so that a late repetition cannot hold again. So does one for a hold that is not there:
-- the statement that takes it may still be under way, and finds the id used then. Where that has been committed since
-- this one began, what it took is given back here, from a balance as it was locked: before that it held less. Nobody
-- owns a mark, which holds nothing, is for no service, and is in no list or count of holds.
WITH item AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS t (account_id, id, reason)
),
locked AS (
    SELECT b.account_id, b.held
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[]) AND b.asset = 1
    ORDER BY b.account_id
    FOR NO KEY UPDATE
),
found AS (
    UPDATE jangbu.holds AS h
    SET state = 'released', reason = i.reason, closed_at = clock_timestamp()
    FROM item AS i
    JOIN locked AS l ON l.account_id = i.account_id
    WHERE h.account_id = i.account_id AND h.id = i.id AND h.state IN ('open', 'unknown')
    RETURNING h.account_id, h.id, h.amount
),
marked AS (
    INSERT INTO jangbu.holds AS h (
        account_id, id, amount, state, may_have_left, service, model, owner, reason, expires_at, closed_at
    )
    SELECT DISTINCT ON (i.account_id, i.id)
        i.account_id, i.id, 0, 'released'::jangbu.hold_state, false, '', '', '', i.reason,
        clock_timestamp(), clock_timestamp()
    FROM item AS i
    JOIN locked AS l ON l.account_id = i.account_id
    WHERE NOT EXISTS (SELECT FROM jangbu.holds AS x WHERE x.account_id = i.account_id AND x.id = i.id)
        AND NOT EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = i.account_id AND u.id = i.id)
    ON CONFLICT (account_id, id) DO UPDATE
    SET state = 'released', reason = excluded.reason, closed_at = excluded.closed_at
    WHERE h.state IN ('open', 'unknown')
    RETURNING h.account_id, h.id, h.amount, h.owner
),
released AS (
    SELECT account_id, id, amount FROM found
    UNION ALL
    SELECT account_id, id, amount FROM marked WHERE owner <> ''
),
moved AS (
    UPDATE jangbu.balances AS b
    SET held = l.held - r.amount,
        updated_at = clock_timestamp()
    FROM (SELECT account_id, sum(amount)::bigint AS amount FROM released GROUP BY account_id) AS r
    JOIN locked AS l ON l.account_id = r.account_id
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
