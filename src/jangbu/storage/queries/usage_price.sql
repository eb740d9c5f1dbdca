-- Fills in what calls cost that had no price when they were recorded, with all that follows from it: rollups, the money
-- debit of accounts that have a money balance, and the finding. A call that has its price already is left alone, and one
-- that was voided is not debited: all that it was charged was given back, and nobody voids it again. A void that comes
-- meanwhile is seen because the balances were locked by a statement before. Nor is one that was recorded before the
-- balance of money was opened, as it would not have been with its price: both moments are by the database's clock,
-- whenever the call says that it was, and its own is that of its finding, because what used no tokens has no entry.
WITH item AS (
    SELECT *
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[]) AS t (
        account_id, id, cost_nano, input_cost_nano, charge_nano, price_version
    )
),
locked AS (
    SELECT b.account_id, b.asset, b.granted, b.used, b.version, b.head
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[])
    ORDER BY b.account_id, b.asset
    FOR NO KEY UPDATE
),
voided AS (
    SELECT i.account_id, i.id
    FROM item AS i
    JOIN jangbu.entries AS e ON e.account_id = i.account_id AND e.reference = i.id
    WHERE e.asset = 1 AND e.kind = 'void'
),
opened AS (
    SELECT e.account_id, e.created_at AS at
    FROM locked AS l
    JOIN jangbu.entries AS e ON e.account_id = l.account_id AND e.asset = 2 AND e.seq = 1
    WHERE l.asset = 2
),
unpaid AS (
    SELECT i.account_id, i.id
    FROM item AS i
    JOIN opened AS o ON o.account_id = i.account_id
    JOIN jangbu.findings AS f ON f.account_id = i.account_id AND f.usage_id = i.id AND f.kind = 'unpriced'
    WHERE f.created_at < o.at
),
priced AS (
    UPDATE jangbu.usage AS u
    SET cost_nano = i.cost_nano,
        input_cost_nano = i.input_cost_nano,
        charge_nano = i.charge_nano,
        price_version = i.price_version,
        money_posting = CASE WHEN i.charge_nano > 0 AND v.id IS NULL AND n.id IS NULL THEN m.version END
    FROM item AS i
    JOIN locked AS l ON l.account_id = i.account_id AND l.asset = 1
    LEFT JOIN locked AS m ON m.account_id = i.account_id AND m.asset = 2
    LEFT JOIN voided AS v ON v.account_id = i.account_id AND v.id = i.id
    LEFT JOIN unpaid AS n ON n.account_id = i.account_id AND n.id = i.id
    WHERE u.account_id = i.account_id AND u.id = i.id AND u.cost_nano IS NULL
    RETURNING
        u.account_id, u.id, u.service_id, u.model_id,
        coalesce(u.total > u.hold_amount, false) AS is_overrun,
        u.cost_nano, u.input_cost_nano, u.charge_nano, u.money_posting
),
debit AS (
    SELECT
        p.account_id,
        l.version,
        l.head,
        l.granted - l.used AS balance,
        jangbu.sum(p.charge_nano) FILTER (WHERE NOT p.is_overrun) AS usage,
        jangbu.sum(p.charge_nano) FILTER (WHERE p.is_overrun) AS overrun,
        'priced after it was recorded' AS reason,
        clock_timestamp() AS at
    FROM priced AS p
    JOIN locked AS l ON l.account_id = p.account_id AND l.asset = 2
    WHERE p.money_posting IS NOT NULL
    GROUP BY p.account_id, l.version, l.head, l.granted, l.used
),
begun AS MATERIALIZED (
    SELECT
        d.account_id,
        d.version,
        d.usage,
        d.overrun,
        d.balance - d.usage AS balance,
        CASE WHEN d.usage > 0 THEN 1 ELSE 0 END + CASE WHEN d.overrun > 0 THEN 1 ELSE 0 END AS entries,
        d.reason,
        d.at,
        CASE
            WHEN d.usage > 0 THEN jangbu.entry_hash(
                d.head, d.account_id, 2::smallint, d.version + 1, 'usage', -d.usage, d.balance - d.usage, d.version,
                NULL, d.reason, d.at
            )
            ELSE d.head
        END AS hash
    FROM debit AS d
),
chained AS (
    SELECT
        b.account_id,
        b.version,
        b.usage,
        b.overrun,
        b.balance,
        b.entries,
        b.reason,
        b.at,
        b.hash,
        CASE
            WHEN b.overrun > 0 THEN jangbu.entry_hash(
                b.hash, b.account_id, 2::smallint, b.version + b.entries, 'overrun', -b.overrun,
                b.balance - b.overrun, b.version, NULL, b.reason, b.at
            )
            ELSE b.hash
        END AS head
    FROM begun AS b
),
moved AS (
    UPDATE jangbu.balances AS b
    SET used = b.used + c.usage + c.overrun,
        version = b.version + c.entries,
        head = c.head,
        updated_at = c.at
    FROM chained AS c
    WHERE b.account_id = c.account_id AND b.asset = 2
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, posting, reason, created_at, hash)
    SELECT c.account_id, 2, e.seq, e.kind, -e.amount, e.balance, c.version, c.reason, c.at, e.hash
    FROM chained AS c
    CROSS JOIN LATERAL (
        VALUES
            ('usage'::jangbu.entry_kind, c.version + 1, c.usage, c.balance, c.hash),
            ('overrun'::jangbu.entry_kind, c.version + c.entries, c.overrun, c.balance - c.overrun, c.head)
    ) AS e (kind, seq, amount, balance, hash)
    WHERE e.amount > 0
),
resolved AS (
    UPDATE jangbu.findings AS f
    SET resolved_at = clock_timestamp()
    FROM priced AS p
    WHERE f.account_id = p.account_id AND f.usage_id = p.id AND f.kind = 'unpriced' AND f.resolved_at IS NULL
),
rolled_user AS (
    INSERT INTO jangbu.usage_recent AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        account_id, date_bin('15 minutes', jangbu.uuid7_time(id), '2000-01-01Z') AS quarter, service_id, model_id,
        0, 0, 0, 0, 0, 0, 0, sum(cost_nano), sum(input_cost_nano), sum(charge_nano), -count(*)
    FROM priced
    GROUP BY account_id, quarter, service_id, model_id
    ORDER BY account_id, quarter, service_id, model_id
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
    SET cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced
),
rolled_project AS (
    INSERT INTO jangbu.project_recent AS r (
        project, at, service_id, model_id, writer, calls, prompt, candidates, thoughts, tool, cached, total,
        cost_nano, input_cost_nano, charge_nano, unpriced
    )
    SELECT
        $8::text, date_trunc('minute', jangbu.uuid7_time(id), 'UTC') AS minute, service_id, model_id, $7::smallint,
        0, 0, 0, 0, 0, 0, 0, sum(cost_nano), sum(input_cost_nano), sum(charge_nano), -count(*)
    FROM priced
    GROUP BY minute, service_id, model_id
    ORDER BY minute, service_id, model_id
    ON CONFLICT (project, at, service_id, model_id, writer) DO UPDATE
    SET cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced
)
SELECT count(*) AS calls FROM priced
