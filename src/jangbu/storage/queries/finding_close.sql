-- Closes findings of an unknown outcome whose call is recorded, or whose hold was given back: who did so in the very
-- moment in which the outcome was given up did not see the finding.
UPDATE jangbu.findings AS f
SET resolved_at = clock_timestamp()
WHERE f.kind = 'unknown_outcome' AND f.resolved_at IS NULL
    AND (
        EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = f.account_id AND u.id = f.usage_id)
        OR NOT EXISTS (
            SELECT FROM jangbu.holds AS h
            WHERE h.account_id = f.account_id AND h.id = f.usage_id AND h.state = 'unknown'
        )
    )
RETURNING f.usage_id
