-- A call that left and never came back: its hold stays held, and a finding makes somebody look at it.
WITH marked AS (
    UPDATE jangbu.holds
    SET state = 'unknown', reason = $3::text
    WHERE account_id = $1::uuid AND id = $2::uuid AND state = 'open'
    RETURNING account_id, id, amount, reason
)
INSERT INTO jangbu.findings (account_id, usage_id, kind, detail)
SELECT account_id, id, 'unknown_outcome', amount || ' tokens stay held: ' || reason
FROM marked
ON CONFLICT DO NOTHING
