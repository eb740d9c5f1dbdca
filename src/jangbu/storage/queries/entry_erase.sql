-- Takes from an erased account's entries the keys that callers chose. What entries say, and are chained by, stays.
UPDATE jangbu.entries AS e SET key = NULL WHERE e.account_id = $1::uuid AND e.key IS NOT NULL
