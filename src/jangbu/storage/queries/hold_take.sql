-- Takes a batch of holds. Balances are locked first and in order; then the holds of one account are admitted one after
-- another, each against what the ones before it left, so that no interleaving can hold more than there is. The arrays
-- come sorted by account. An amount may follow the balance: half of what is left beyond its base, between its bounds,
-- or all of it. An id that was held or settled before takes nothing again. Balances are named by the array where they
-- are moved, too, which leaves the planner no way to read them whole. They are locked by themselves: where another
-- process moves a balance meanwhile, only its own row is looked at again. What is offered is put together once, and not
-- again for each step that takes of it.
WITH RECURSIVE item AS (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::text[], $8::text[]
    ) WITH ORDINALITY AS t (account_id, id, base, least, most, take_all, service, model, n)
),
balance AS (
    SELECT b.account_id, b.granted - b.used - b.held AS available
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[]) AND b.asset = 1
    ORDER BY b.account_id
    FOR NO KEY UPDATE
),
locked AS (
    SELECT b.account_id, b.available, a.state
    FROM balance AS b
    JOIN jangbu.accounts AS a ON a.account_id = b.account_id
),
known AS (
    SELECT
        i.n,
        coalesce(h.amount, u.hold_amount) AS amount,
        CASE WHEN u.id IS NULL THEN h.state ELSE 'settled' END AS state
    FROM item AS i
    LEFT JOIN jangbu.holds AS h ON h.account_id = i.account_id AND h.id = i.id
    LEFT JOIN jangbu.usage AS u ON u.account_id = i.account_id AND u.id = i.id
    WHERE h.id IS NOT NULL OR u.id IS NOT NULL
),
offer AS MATERIALIZED (
    SELECT array_agg(
        CASE WHEN k.n IS NULL AND l.state = 'active' THEN l.available ELSE -1 END ORDER BY i.n
    ) AS available
    FROM item AS i
    LEFT JOIN locked AS l ON l.account_id = i.account_id
    LEFT JOIN known AS k ON k.n = i.n
),
step (n, spent, available, amount) AS (
    SELECT 0::bigint, 0::bigint, 0::bigint, 0::bigint
    UNION ALL
    SELECT
        s.n + 1,
        CASE WHEN sized.amount BETWEEN $4[s.n + 1] AND remaining.available THEN sized.amount ELSE 0 END
        + remaining.spent,
        remaining.available,
        CASE WHEN sized.amount BETWEEN $4[s.n + 1] AND remaining.available THEN sized.amount END
    FROM step AS s
    CROSS JOIN offer AS o
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.n > 0 AND $1[s.n + 1] = $1[s.n] THEN s.spent ELSE 0 END AS spent
    ) AS so_far
    CROSS JOIN LATERAL (SELECT so_far.spent, o.available[s.n + 1] - so_far.spent AS available) AS remaining
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN $6[s.n + 1] THEN least($5[s.n + 1], remaining.available)
            ELSE least($5[s.n + 1], greatest($4[s.n + 1], $3[s.n + 1] + (remaining.available - $3[s.n + 1]) / 2))
        END AS amount
    ) AS sized
    WHERE s.n < cardinality($1::uuid[])
),
taken AS (
    INSERT INTO jangbu.holds (account_id, id, amount, may_have_left, service, model, owner, expires_at)
    SELECT
        i.account_id, i.id, s.amount, $9::boolean, i.service, i.model, $10::text,
        clock_timestamp() + $11::integer * interval '1 second'
    FROM step AS s
    JOIN item AS i ON i.n = s.n
    WHERE s.amount IS NOT NULL
    ON CONFLICT DO NOTHING
    RETURNING account_id, id, amount
),
moved AS (
    UPDATE jangbu.balances AS b
    SET held = b.held + t.amount,
        updated_at = clock_timestamp()
    FROM (SELECT account_id, sum(amount)::bigint AS amount FROM taken GROUP BY account_id) AS t
    WHERE b.account_id = t.account_id AND b.asset = 1 AND b.account_id = ANY ($1::uuid[])
)
SELECT
    i.n,
    t.amount,
    s.amount IS NOT NULL AND t.amount IS NULL AS is_overtaken,
    l.state AS account_state,
    k.state AS known_state,
    k.amount AS known_amount,
    greatest(s.available, l.available - s.spent) AS available
FROM item AS i
JOIN step AS s ON s.n = i.n
LEFT JOIN taken AS t ON t.account_id = i.account_id AND t.id = i.id
LEFT JOIN locked AS l ON l.account_id = i.account_id
LEFT JOIN known AS k ON k.n = i.n
ORDER BY i.n
