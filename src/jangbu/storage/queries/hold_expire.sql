-- Ends holds whose time is up, by the database's clock. Where a call may have left, nobody knows the outcome: the hold
-- becomes unknown and stays held. Where none can have left, it is given back. A hold whose usage is recorded was
-- settled by somebody else: it goes. A finding that was closed before is opened again. Each balance is locked before its
-- holds are touched, as everywhere, but as its holds come and not in order: one that others have locked just now is left
-- for the next time, so nothing is waited for, and its holds take no place from those of others in a batch. One whose
-- time is made longer at this moment, which no balance is locked for, is looked at anew, and stays.
WITH locked AS (
    SELECT h.account_id, h.id
    FROM jangbu.holds AS h
    JOIN jangbu.balances AS b ON b.account_id = h.account_id AND b.asset = 1
    WHERE h.state = 'open' AND h.expires_at <= clock_timestamp()
    ORDER BY h.expires_at
    LIMIT $1::integer
    FOR NO KEY UPDATE OF b SKIP LOCKED
),
due AS (
    SELECT
        l.account_id,
        l.id,
        EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = l.account_id AND u.id = l.id) AS recorded
    FROM locked AS l
),
settled AS (
    DELETE FROM jangbu.holds AS h
    USING due AS d
    WHERE d.recorded AND h.account_id = d.account_id AND h.id = d.id AND h.state = 'open'
    RETURNING h.account_id, h.id, h.amount, 'settled'::jangbu.hold_state AS state
),
lapsed AS (
    UPDATE jangbu.holds AS h
    SET state = CASE WHEN h.may_have_left THEN 'unknown' ELSE 'expired' END::jangbu.hold_state,
        reason = 'its time was up',
        closed_at = CASE WHEN h.may_have_left THEN NULL ELSE clock_timestamp() END
    FROM due AS d
    WHERE NOT d.recorded AND h.account_id = d.account_id AND h.id = d.id AND h.state = 'open'
        AND h.expires_at <= clock_timestamp()
    RETURNING h.account_id, h.id, h.amount, h.state
),
ended AS (
    SELECT account_id, id, amount, state FROM settled
    UNION ALL
    SELECT account_id, id, amount, state FROM lapsed
),
moved AS (
    UPDATE jangbu.balances AS b
    SET held = b.held - e.amount,
        updated_at = clock_timestamp()
    FROM (SELECT account_id, sum(amount)::bigint AS amount FROM ended WHERE state <> 'unknown' GROUP BY account_id) AS e
    WHERE b.account_id = e.account_id AND b.asset = 1
),
found AS (
    INSERT INTO jangbu.findings AS f (account_id, usage_id, kind, detail)
    SELECT account_id, id, 'unknown_outcome', amount || ' tokens stay held: the hold''s time was up'
    FROM ended
    WHERE state = 'unknown'
    ON CONFLICT (account_id, usage_id, kind) DO UPDATE
    SET detail = excluded.detail, created_at = excluded.created_at, resolved_at = NULL, alerted_at = NULL
    WHERE f.resolved_at IS NOT NULL
)
SELECT account_id, id, amount, state FROM ended
