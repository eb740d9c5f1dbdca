-- Closes the findings of an erased account: nobody can look at its calls any more to close them one by one. What is found
-- of calls without a price stays open, because a price ends it, and the sums that these calls belong to lack it until then.
UPDATE jangbu.findings AS f
SET resolved_at = clock_timestamp(), resolved_by = $2::text, resolution = 'the user was erased'
WHERE f.account_id = $1::uuid AND f.resolved_at IS NULL AND f.kind <> 'unpriced'
