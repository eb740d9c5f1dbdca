-- Ends what was found of a lacking price at calls that no price would price, because their answers do not say what they
-- used: nothing that anybody enters would ever end it. Findings are locked in order, so that two who do so never deadlock.
WITH item AS (
    SELECT account_id, usage_id FROM unnest($1::uuid[], $2::uuid[]) AS t (account_id, usage_id)
),
locked AS (
    SELECT f.account_id, f.usage_id, f.kind
    FROM jangbu.findings AS f
    JOIN item AS i ON i.account_id = f.account_id AND i.usage_id = f.usage_id
    WHERE f.kind = 'unpriced' AND f.resolved_at IS NULL
    ORDER BY f.account_id, f.usage_id
    FOR UPDATE OF f
)
UPDATE jangbu.findings AS f
SET resolved_at = clock_timestamp()
FROM locked AS l
WHERE f.account_id = l.account_id AND f.usage_id = l.usage_id AND f.kind = l.kind
