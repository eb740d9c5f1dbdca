-- Closes findings of an unknown outcome whose call is recorded: evidence that came in the very moment in which the
-- outcome was given up does not see the finding.
UPDATE jangbu.findings AS f
SET resolved_at = clock_timestamp()
FROM jangbu.usage AS u
WHERE f.kind = 'unknown_outcome' AND f.resolved_at IS NULL AND u.account_id = f.account_id AND u.id = f.usage_id
RETURNING f.usage_id
