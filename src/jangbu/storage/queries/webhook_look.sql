-- Looks at the balances of accounts. Tells of those that fell below the threshold ($3) since the app last knew of it,
-- having had that much, or once it was told so much more ($4), by what their entries left: exact, whatever happened between
-- two looks. What calls under way hold counts as left, because most of it comes back. Whoever moves the row tells it, so
-- of many who look at once that is one. Gives for each account the most that may be left of its balance while there is
-- something to tell, null for nothing, and whether the grant that burns first is used up and not burnt down yet. Balances
-- that did not move for a day are left alone: the app is not told of the past.
WITH seen AS (
    SELECT
        b.account_id, a.user_id, b.granted, b.used, b.held, b.granted - b.used AS remains, b.version, l.version AS was
    FROM jangbu.balances AS b
    JOIN jangbu.accounts AS a ON a.account_id = b.account_id AND a.project = $2::text
    LEFT JOIN jangbu.low_balances AS l ON l.account_id = b.account_id
    WHERE b.account_id = ANY ($1::uuid[]) AND b.asset = 1 AND b.updated_at > clock_timestamp() - interval '1 day'
),
low AS MATERIALIZED (
    SELECT
        s.account_id, s.user_id, s.granted, s.used, s.held, s.remains, s.version, s.was,
        EXISTS (
            SELECT
            FROM jangbu.entries AS e
            WHERE e.account_id = s.account_id AND e.asset = 1 AND e.seq > coalesce(s.was, 0)
                AND e.balance_after >= CASE WHEN s.was IS NULL THEN $3::bigint ELSE $4::bigint END
        ) AS has_fallen
    FROM seen AS s
    WHERE s.remains < $3::bigint
),
noted AS (
    INSERT INTO jangbu.low_balances AS l (account_id, version, was)
    SELECT w.account_id, w.version, w.was
    FROM low AS w
    ORDER BY w.account_id
    ON CONFLICT (account_id) DO UPDATE
    SET version = excluded.version, was = excluded.was
    WHERE l.version = excluded.was AND l.version < excluded.version
    RETURNING account_id
),
told AS (
    INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)
    SELECT
        gen_random_uuid(), $2::text, 'balance.low', w.user_id,
        jsonb_build_object(
            'balance', w.granted, 'used_tokens', w.used, 'held_tokens', w.held,
            'available', w.remains - w.held, 'threshold', $3::bigint
        )
    FROM low AS w
    JOIN noted AS n ON n.account_id = w.account_id
    WHERE w.has_fallen
    RETURNING id
)
SELECT
    s.account_id,
    greatest(CASE WHEN s.remains >= $3::bigint THEN $3::bigint - 1 END, g.remaining - g.next)::bigint AS level,
    coalesce(g.remaining - greatest(0, s.remains) >= g.next, false) AS is_used_up,
    (SELECT count(*) FROM told) AS told
FROM seen AS s
CROSS JOIN LATERAL (
    SELECT
        least(sum(r.left), 9000000000000000000) AS remaining,
        (array_agg(r.left ORDER BY r.expires_at NULLS LAST, r.priority, r.created_at, r.id))[1] AS next
    FROM (
        SELECT t.amount - t.consumed - t.expired AS left, t.expires_at, t.priority, t.created_at, t.id
        FROM jangbu.grants AS t
        WHERE t.account_id = s.account_id AND t.asset = 1 AND t.consumed + t.expired < t.amount
    ) AS r
) AS g
