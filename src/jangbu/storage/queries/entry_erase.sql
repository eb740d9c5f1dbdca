-- Takes from an erased account's entries the keys that callers chose; debits have none. What entries say, and are chained
-- by, stays.
UPDATE jangbu.entries AS e
SET key = NULL
WHERE e.account_id = $1::uuid AND e.asset IN (1, 2) AND e.kind <> 'usage' AND e.key IS NOT NULL
