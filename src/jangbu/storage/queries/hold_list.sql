-- The holds that somebody may want to look at, oldest first, from the one after the last of a page; settled ones live on as
-- usage. Those of one user, in some states, taken in a time, or for calls of one service or model where that is asked for.
SELECT h.id, a.user_id, h.amount, h.state, h.service, h.model, h.owner, h.reason, h.taken_at, h.expires_at, h.closed_at
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE a.project = $1::text
    AND ($2::uuid IS NULL OR h.account_id = $2::uuid)
    AND ($3::text[] IS NULL OR h.state = ANY ($3::text[]::jangbu.hold_state[]))
    AND ($5::timestamptz IS NULL OR (h.taken_at, h.id) > ($5::timestamptz, $6::uuid))
    AND ($7::timestamptz IS NULL OR h.taken_at >= $7::timestamptz)
    AND ($8::timestamptz IS NULL OR h.taken_at < $8::timestamptz)
    AND ($9::text IS NULL OR h.service = $9::text)
    AND ($10::text IS NULL OR h.model = $10::text)
ORDER BY h.taken_at, h.id
LIMIT $4::integer
