-- Closes the findings of an erased account: nobody can look at its calls any more to close them one by one. What is found
-- of calls without a price stays open, because a price ends it, and the sums that these calls belong to lack it until then;
-- the app is told of it no more.
UPDATE jangbu.findings AS f
SET told_at = coalesce(f.told_at, clock_timestamp()),
    resolved_at = CASE WHEN f.kind <> 'unpriced' THEN clock_timestamp() END,
    resolved_by = CASE WHEN f.kind <> 'unpriced' THEN $2::text END,
    resolution = CASE WHEN f.kind <> 'unpriced' THEN 'the user was erased' END
WHERE f.account_id = $1::uuid AND f.resolved_at IS NULL
