-- The holds that somebody may want to look at, oldest first, from the one after the last of a page; settled ones live on as
-- usage. Those of one user, in some states, taken in a time, or for calls of one service or model where that is asked for.
-- Those of a user, of calls under way, of unknown outcome and without a deduction are found by an index each. The mark of a
-- hold that was never taken (hold_release.sql) is none: it has neither an owner nor a service, of which the index has the
-- service.
SELECT h.id, a.user_id, h.amount, h.state, h.service, h.model, h.owner, h.reason, h.taken_at, h.expires_at, h.closed_at
FROM (
    (
        SELECT w.account_id, w.id
        FROM jangbu.holds AS w
        WHERE w.account_id = $2::uuid AND w.service <> ''
            AND ($3::text[] IS NULL OR w.state = ANY ($3::text[]::jangbu.hold_state[]))
            AND ($5::timestamptz IS NULL OR (w.taken_at, w.id) > ($5::timestamptz, $6::uuid))
            AND ($7::timestamptz IS NULL OR w.taken_at >= $7::timestamptz)
            AND ($8::timestamptz IS NULL OR w.taken_at < $8::timestamptz)
            AND ($9::text IS NULL OR w.service = $9::text)
            AND ($10::text IS NULL OR w.model = $10::text)
        ORDER BY w.taken_at, w.id
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT w.account_id, w.id
        FROM jangbu.holds AS w
        WHERE $2::uuid IS NULL AND ($3::text[] IS NULL OR 'open' = ANY ($3::text[])) AND w.state = 'open'
            AND ($5::timestamptz IS NULL OR (w.taken_at, w.id) > ($5::timestamptz, $6::uuid))
            AND ($7::timestamptz IS NULL OR w.taken_at >= $7::timestamptz)
            AND ($8::timestamptz IS NULL OR w.taken_at < $8::timestamptz)
            AND ($9::text IS NULL OR w.service = $9::text)
            AND ($10::text IS NULL OR w.model = $10::text)
            AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = w.account_id) = $1::text
        ORDER BY w.taken_at, w.id
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT w.account_id, w.id
        FROM jangbu.holds AS w
        WHERE $2::uuid IS NULL AND ($3::text[] IS NULL OR 'unknown' = ANY ($3::text[])) AND w.state = 'unknown'
            AND ($5::timestamptz IS NULL OR (w.taken_at, w.id) > ($5::timestamptz, $6::uuid))
            AND ($7::timestamptz IS NULL OR w.taken_at >= $7::timestamptz)
            AND ($8::timestamptz IS NULL OR w.taken_at < $8::timestamptz)
            AND ($9::text IS NULL OR w.service = $9::text)
            AND ($10::text IS NULL OR w.model = $10::text)
            AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = w.account_id) = $1::text
        ORDER BY w.taken_at, w.id
        LIMIT $4::integer
    )
    UNION ALL
    (
        SELECT w.account_id, w.id
        FROM jangbu.holds AS w
        WHERE $2::uuid IS NULL AND ($3::text[] IS NULL OR $3::text[] && ARRAY['released', 'expired'])
            AND w.state IN ('released', 'expired') AND w.service <> ''
            AND ($3::text[] IS NULL OR w.state = ANY ($3::text[]::jangbu.hold_state[]))
            AND w.taken_at >= coalesce(greatest($5::timestamptz, $7::timestamptz), '-infinity')
            AND w.taken_at < coalesce($8::timestamptz, 'infinity')
            AND ($5::timestamptz IS NULL OR (w.taken_at, w.id) > ($5::timestamptz, $6::uuid))
            AND ($9::text IS NULL OR w.service = $9::text)
            AND ($10::text IS NULL OR w.model = $10::text)
            AND (SELECT n.project FROM jangbu.accounts AS n WHERE n.account_id = w.account_id) = $1::text
        ORDER BY w.taken_at, w.id
        LIMIT $4::integer
    )
) AS f
JOIN jangbu.holds AS h ON h.account_id = f.account_id AND h.id = f.id
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE a.project = $1::text
ORDER BY h.taken_at, h.id
LIMIT $4::integer
