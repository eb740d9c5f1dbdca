-- A call that left and never came back: its hold stays held, and a finding makes somebody look at it, also where one was
-- closed before. A hold that was inserted after its own settlement is left to the sweeper, which closes it.
WITH marked AS (
    UPDATE jangbu.holds
    SET state = 'unknown', reason = $3::text
    WHERE account_id = $1::uuid AND id = $2::uuid AND state = 'open'
        AND NOT EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = $1::uuid AND u.id = $2::uuid)
    RETURNING account_id, id, amount, reason
)
INSERT INTO jangbu.findings AS f (account_id, usage_id, kind, detail)
SELECT account_id, id, 'unknown_outcome', amount || ' tokens stay held: ' || reason
FROM marked
ON CONFLICT (account_id, usage_id, kind) DO UPDATE
SET detail = excluded.detail, created_at = excluded.created_at, resolved_at = NULL, alerted_at = NULL,
    acknowledged_at = NULL, acknowledged_by = NULL, resolved_by = NULL, resolution = NULL
WHERE f.resolved_at IS NOT NULL
