-- Records a batch of usage and everything that follows from it in one statement, so that a record, its debit, its
-- entry and its rollups exist together or not at all. Balances are locked first and in order, so flushes never
-- deadlock and everything below sees their latest state; only rows that really were new move anything, so a replay
-- changes nothing. A hold is closed whenever its usage is known, whoever brought it. An answer whose key is taken is
-- not recorded again; where it was called for under a hold and the key stands for other counts, the key proves nothing
-- and the answer is recorded without it. A key is claimed by a row that really was new and by no other: one that stood
-- for the record of another answer would keep its own from ever being recorded. Where a key was taken this very moment,
-- which this statement does not see, it violates the key, does nothing, and is sent again. The answers of a batch have
-- keys of their own, which stand for the batch's record: a batch of which an answer was recorded already is not recorded
-- as it is, unless it was called for under a hold. A call whose cost no price would tell, because the answer does not say
-- what it used, is no call that lacks a price (domain/pricing.py); a prompt that was blocked is an outcome, and nothing
-- to look into.
WITH item AS (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::smallint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
        $16::bigint[], $17::bigint[], $18::integer[], $19::boolean[], $20::text[], $21::text[], $22::text[],
        $23::text[], $24::text[], $25::bytea[], $26::text[]
    ) AS t (
        account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool,
        cached, total, cost_nano, input_cost_nano, charge_nano, price_version, was_held, response_id, anomalies, raw,
        metadata, key, digest, members
    )
),
locked AS (
    SELECT b.account_id, b.asset, b.granted, b.used, b.held, b.version, b.head
    FROM jangbu.balances AS b
    WHERE b.account_id = ANY ($1::uuid[])
    ORDER BY b.account_id, b.asset
    FOR NO KEY UPDATE
),
posting AS (
    SELECT
        account_id,
        max(version) FILTER (WHERE asset = 1) AS tokens,
        max(version) FILTER (WHERE asset = 2) AS money
    FROM locked
    GROUP BY account_id
),
known AS (
    SELECT i.account_id, i.id, x.digest
    FROM item AS i
    JOIN jangbu.idempotency_keys AS x ON x.account_id = i.account_id AND x.key = i.key
),
member AS (
    SELECT
        i.account_id, i.id, i.was_held, m.key, decode(m.digest, 'hex') AS digest,
        (
            SELECT x.digest FROM jangbu.idempotency_keys AS x WHERE x.account_id = i.account_id AND x.key = m.key
        ) AS known
    FROM item AS i
    CROSS JOIN LATERAL jsonb_each_text(i.members::jsonb) AS m (key, digest)
),
charged AS (
    SELECT DISTINCT account_id, id FROM member WHERE known = digest AND NOT was_held
),
closed AS (
    DELETE FROM jangbu.holds AS h
    USING item AS i, locked AS l
    WHERE i.was_held
        AND l.account_id = i.account_id AND l.asset = 1
        AND h.account_id = i.account_id AND h.id = i.id
        AND h.state IN ('open', 'unknown')
    RETURNING h.account_id, h.id, h.amount, h.state
),
resolved AS (
    UPDATE jangbu.findings AS f
    SET resolved_at = clock_timestamp()
    FROM closed AS c
    WHERE c.state = 'unknown'
        AND f.account_id = c.account_id AND f.usage_id = c.id AND f.kind = 'unknown_outcome' AND f.resolved_at IS NULL
),
fresh AS (
    INSERT INTO jangbu.usage (
        account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool,
        cached, total, cost_nano, input_cost_nano, charge_nano, price_version, hold_amount, late, posting,
        money_posting, response_id, anomalies, raw, metadata
    )
    SELECT
        i.account_id, i.id, i.service_id, i.model_id, i.surface::jangbu.surface, i.platform::jangbu.platform,
        i.tier::jangbu.tier, i.source::jangbu.source, i.prompt, i.candidates, i.thoughts, i.tool, i.cached, i.total,
        i.cost_nano, i.input_cost_nano, i.charge_nano, i.price_version, c.amount, i.was_held AND c.amount IS NULL,
        p.tokens, CASE WHEN i.charge_nano > 0 THEN p.money END, i.response_id, string_to_array(i.anomalies, ','),
        i.raw::jsonb, i.metadata::jsonb
    FROM item AS i
    JOIN posting AS p ON p.account_id = i.account_id AND p.tokens IS NOT NULL
    LEFT JOIN closed AS c ON c.account_id = i.account_id AND c.id = i.id
    LEFT JOIN known AS k ON k.account_id = i.account_id AND k.id = i.id
    LEFT JOIN charged AS b ON b.account_id = i.account_id AND b.id = i.id
    WHERE b.id IS NULL AND (k.id IS NULL OR (i.was_held AND k.digest <> i.digest))
    ON CONFLICT DO NOTHING
    RETURNING
        account_id, id, service_id, model_id, source, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, hold_amount, late, anomalies, jangbu.uuid7_time(id) AS at,
        cost_nano IS NULL AND (
            (surface = 'embed_content' AND source = 'none')
            OR raw @> '{"members": [{"surface": "embed_content", "source": "none"}]}'
        ) AS is_uncounted,
        cost_nano IS NULL AND (
            (surface = 'embed_content' AND source = 'none' AND raw -> 'usage' = '[]')
            OR raw @? '$.members[*] ? (@.surface == "embed_content" && @.source == "none" && @.usage.size() == 0)'
        ) AS is_untold,
        cost_nano IS NULL
            AND NOT coalesce(
                anomalies && ARRAY['usage_missing', 'usage_incomplete', 'invalid_usage', 'unknown_modality'], false
            )
            AND NOT coalesce(tier IS NULL AND 'unknown_tier' = ANY (anomalies), false)
            AND raw #> '{units,cache_storage_tokens}' IS NULL
            AND (raw #> '{units,videos}' IS NULL OR raw #> '{units,video_seconds}' IS NOT NULL) AS may_lack_price
),
keyed AS (
    INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
    SELECT f.account_id, i.key, i.digest, f.id
    FROM fresh AS f
    JOIN item AS i ON i.account_id = f.account_id AND i.id = f.id
    LEFT JOIN known AS k ON k.account_id = f.account_id AND k.id = f.id
    WHERE i.key IS NOT NULL AND k.id IS NULL
    UNION ALL
    SELECT f.account_id, m.key, m.digest, f.id
    FROM fresh AS f
    JOIN member AS m ON m.account_id = f.account_id AND m.id = f.id
    WHERE m.known IS NULL
),
debit AS (
    SELECT
        d.account_id,
        d.asset,
        l.version,
        l.head,
        l.granted - l.used AS balance,
        jangbu.sum(d.amount) FILTER (WHERE NOT d.is_overrun) AS usage,
        jangbu.sum(d.amount) FILTER (WHERE d.is_overrun) AS overrun,
        clock_timestamp() AS at
    FROM (
        SELECT f.account_id, p.asset, p.amount, coalesce(f.total > f.hold_amount, false) AS is_overrun
        FROM fresh AS f
        CROSS JOIN LATERAL (VALUES (1::smallint, f.total), (2::smallint, f.charge_nano)) AS p (asset, amount)
        WHERE p.amount > 0
    ) AS d
    JOIN locked AS l ON l.account_id = d.account_id AND l.asset = d.asset
    GROUP BY d.account_id, d.asset, l.version, l.head, l.granted, l.used
),
begun AS MATERIALIZED (
    SELECT
        d.account_id,
        d.asset,
        d.version,
        d.usage,
        d.overrun,
        d.balance - d.usage AS balance,
        CASE WHEN d.usage > 0 THEN 1 ELSE 0 END + CASE WHEN d.overrun > 0 THEN 1 ELSE 0 END AS entries,
        d.at,
        CASE
            WHEN d.usage > 0 THEN jangbu.entry_hash(
                d.head, d.account_id, d.asset, d.version + 1, 'usage', -d.usage, d.balance - d.usage, d.version, NULL,
                NULL, d.at
            )
            ELSE d.head
        END AS hash
    FROM debit AS d
),
chained AS (
    SELECT
        b.account_id,
        b.asset,
        b.version,
        b.usage,
        b.overrun,
        b.balance,
        b.entries,
        b.at,
        b.hash,
        CASE
            WHEN b.overrun > 0 THEN jangbu.entry_hash(
                b.hash, b.account_id, b.asset, b.version + b.entries, 'overrun', -b.overrun, b.balance - b.overrun,
                b.version, NULL, NULL, b.at
            )
            ELSE b.hash
        END AS head
    FROM begun AS b
),
given_back AS (
    SELECT account_id, 1::smallint AS asset, jangbu.sum(amount) AS held FROM closed GROUP BY account_id
),
seen AS (
    SELECT account_id, 1::smallint AS asset, max(at) AS at FROM fresh GROUP BY account_id
),
movement AS (
    SELECT
        account_id,
        asset,
        coalesce(c.usage + c.overrun, 0) AS used,
        coalesce(g.held, 0) AS held,
        coalesce(c.entries, 0) AS entries,
        c.head,
        s.at AS seen_at
    FROM chained AS c
    FULL JOIN given_back AS g USING (account_id, asset)
    FULL JOIN seen AS s USING (account_id, asset)
),
moved AS (
    UPDATE jangbu.balances AS b
    SET used = b.used + m.used,
        held = b.held - m.held,
        version = b.version + m.entries,
        head = coalesce(m.head, b.head),
        seen_at = greatest(b.seen_at, m.seen_at),
        is_listed = b.is_listed AND m.seen_at IS NULL,
        updated_at = clock_timestamp()
    FROM movement AS m
    WHERE b.account_id = m.account_id AND b.asset = m.asset
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, posting, created_at, hash)
    SELECT c.account_id, c.asset, e.seq, e.kind, -e.amount, e.balance, c.version, c.at, e.hash
    FROM chained AS c
    CROSS JOIN LATERAL (
        VALUES
            ('usage'::jangbu.entry_kind, c.version + 1, c.usage, c.balance, c.hash),
            ('overrun'::jangbu.entry_kind, c.version + c.entries, c.overrun, c.balance - c.overrun, c.head)
    ) AS e (kind, seq, amount, balance, hash)
    WHERE e.amount > 0
),
found AS (
    INSERT INTO jangbu.findings (account_id, usage_id, kind, detail)
    SELECT f.account_id, f.id, p.kind::jangbu.finding_kind, p.detail
    FROM fresh AS f
    CROSS JOIN LATERAL (
        VALUES
            ('unpriced', f.may_lack_price AND NOT f.is_uncounted, 'no price is known for what was used'),
            ('overrun', f.total > f.hold_amount, 'used ' || f.total || ' of a hold of ' || f.hold_amount),
            ('late', f.late, 'recorded when nothing was held for it any more'),
            ('partial', f.source = 'partial', 'the answer broke off; its last reported counts are charged'),
            ('anomaly', f.is_untold AND f.anomalies IS NULL, 'usage_missing'),
            ('anomaly', f.anomalies <> '{blocked}', array_to_string(array_remove(f.anomalies, 'blocked'), ', '))
    ) AS p (kind, applies, detail)
    WHERE (f.cost_nano IS NULL OR f.late OR f.source = 'partial' OR f.total > f.hold_amount OR f.anomalies IS NOT NULL)
        AND p.applies
    ON CONFLICT DO NOTHING
),
rolled_user AS (
    INSERT INTO jangbu.usage_recent AS r (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        f.account_id, date_bin('15 minutes', f.at, '2000-01-01Z') AS quarter, f.service_id, f.model_id, count(*),
        jangbu.sum(f.prompt), jangbu.sum(f.candidates), jangbu.sum(f.thoughts), jangbu.sum(f.tool),
        jangbu.sum(f.cached), jangbu.sum(f.total), jangbu.sum(f.cost_nano), jangbu.sum(f.input_cost_nano),
        jangbu.sum(f.charge_nano),
        count(*) FILTER (WHERE f.cost_nano IS NULL)
    FROM fresh AS f
    GROUP BY f.account_id, quarter, f.service_id, f.model_id
    ORDER BY f.account_id, quarter, f.service_id, f.model_id
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
    SET calls = r.calls + excluded.calls,
        prompt = r.prompt + excluded.prompt,
        candidates = r.candidates + excluded.candidates,
        thoughts = r.thoughts + excluded.thoughts,
        tool = r.tool + excluded.tool,
        cached = r.cached + excluded.cached,
        total = r.total + excluded.total,
        cost_nano = r.cost_nano + excluded.cost_nano,
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
        $28::text, date_trunc('minute', f.at, 'UTC') AS minute, f.service_id, f.model_id,
        $27::smallint, count(*),
        jangbu.sum(f.prompt), jangbu.sum(f.candidates), jangbu.sum(f.thoughts), jangbu.sum(f.tool),
        jangbu.sum(f.cached), jangbu.sum(f.total), jangbu.sum(f.cost_nano), jangbu.sum(f.input_cost_nano),
        jangbu.sum(f.charge_nano),
        count(*) FILTER (WHERE f.cost_nano IS NULL)
    FROM fresh AS f
    GROUP BY minute, f.service_id, f.model_id
    ORDER BY minute, f.service_id, f.model_id
    ON CONFLICT (project, at, service_id, model_id, writer) DO UPDATE
    SET calls = r.calls + excluded.calls,
        prompt = r.prompt + excluded.prompt,
        candidates = r.candidates + excluded.candidates,
        thoughts = r.thoughts + excluded.thoughts,
        tool = r.tool + excluded.tool,
        cached = r.cached + excluded.cached,
        total = r.total + excluded.total,
        cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced
)
SELECT
    i.id,
    f.id IS NOT NULL AS is_new,
    l.account_id IS NOT NULL AS has_account,
    coalesce(f.hold_amount, 0) AS hold_amount,
    l.granted - l.used - l.held - coalesce(m.used, 0) + coalesce(m.held, 0) AS available
FROM item AS i
LEFT JOIN fresh AS f ON f.account_id = i.account_id AND f.id = i.id
LEFT JOIN locked AS l ON l.account_id = i.account_id AND l.asset = 1
LEFT JOIN movement AS m ON m.account_id = i.account_id AND m.asset = 1
