-- Takes back what an attempt counted that succeeded: all failures of the name, and of the address this one alone, or who
-- has one password would guess another's without end.
UPDATE jangbu.sign_in_failures AS f
SET failures = CASE WHEN f.kind = 'name' THEN 0 ELSE greatest(0, f.failures - 1) END,
    locked_until = clock_timestamp()
WHERE f.project = $1::text
    AND ((f.kind = 'name' AND f.digest = $2::bytea) OR (f.kind = 'address' AND f.digest = $3::bytea))
