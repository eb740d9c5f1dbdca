-- Records one plain answer and all that follows from it: the same outcome as usage_flush for the common case of a lone
-- record, without the machinery that a batch needs, which takes longer to start than one row takes to write. Plain
-- means priced, reported whole, without anomalies and above zero, on an account without money, and under no hold or an
-- open one that covers it: nothing to find, one entry. Anything else, and what is known already, gives no row and
-- changes nothing, and goes to usage_flush; so does one of two that record the same at once, which violates a key.
WITH locked AS (
    SELECT b.granted, b.used, b.held, b.version, b.head
    FROM jangbu.balances AS b
    WHERE b.account_id = $1::uuid AND b.asset = 1
        AND NOT EXISTS (SELECT FROM jangbu.balances AS m WHERE m.account_id = $1::uuid AND m.asset = 2)
        AND NOT EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = $1::uuid AND u.id = $2::uuid)
        AND NOT EXISTS (
            SELECT FROM jangbu.idempotency_keys AS k WHERE k.account_id = $1::uuid AND k.key = $24::text
        )
    FOR NO KEY UPDATE OF b
),
closed AS (
    DELETE FROM jangbu.holds AS h
    USING locked
    WHERE $19::boolean AND h.account_id = $1::uuid AND h.id = $2::uuid AND h.state = 'open' AND h.amount >= $14::bigint
    RETURNING h.amount
),
ready AS (
    SELECT
        n.granted, n.used, n.held, n.version, n.amount, n.now, jangbu.uuid7_time($2::uuid) AS at,
        jangbu.entry_hash(
            n.head, $1::uuid, 1::smallint, n.version + 1, 'usage', -$14::bigint, n.granted - n.used - $14::bigint,
            n.version, NULL, NULL, n.now
        ) AS hash
    FROM (
        SELECT l.granted, l.used, l.held, l.version, l.head, c.amount, clock_timestamp() AS now
        FROM locked AS l
        LEFT JOIN closed AS c ON true
        WHERE c.amount IS NOT NULL OR NOT $19::boolean
    ) AS n
),
keyed AS (
    INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
    SELECT $1::uuid, $24::text, $25::bytea, $2::uuid
    FROM ready
    WHERE $24::text IS NOT NULL
),
fresh AS (
    INSERT INTO jangbu.usage (
        account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool,
        cached, total, cost_nano, input_cost_nano, charge_nano, price_version, hold_amount, posting, response_id,
        anomalies, raw, metadata
    )
    SELECT
        $1::uuid, $2::uuid, $3::smallint, $4::integer, $5::text::jangbu.surface, $6::text::jangbu.platform,
        $7::text::jangbu.tier, $8::text::jangbu.source, $9::bigint, $10::bigint, $11::bigint, $12::bigint,
        $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, $18::integer, r.amount, r.version,
        $20::text, string_to_array($21::text, ','), $22::text::jsonb, $23::text::jsonb
    FROM ready AS r
),
moved AS (
    UPDATE jangbu.balances AS b
    SET used = b.used + $14::bigint,
        held = b.held - coalesce(r.amount, 0),
        version = b.version + 1,
        head = r.hash,
        seen_at = greatest(b.seen_at, r.at),
        is_listed = false,
        updated_at = r.now
    FROM ready AS r
    WHERE b.account_id = $1::uuid AND b.asset = 1
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, posting, created_at, hash)
    SELECT
        $1::uuid, 1, r.version + 1, 'usage', -$14::bigint, r.granted - r.used - $14::bigint, r.version, r.now, r.hash
    FROM ready AS r
),
rolled_user AS (
    INSERT INTO jangbu.usage_recent AS t (
        account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    SELECT
        $1::uuid, date_bin('15 minutes', r.at, '2000-01-01Z'), $3::smallint, $4::integer, 1, $9::bigint, $10::bigint,
        $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, 0
    FROM ready AS r
    ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
    SET calls = t.calls + 1,
        prompt = t.prompt + excluded.prompt,
        candidates = t.candidates + excluded.candidates,
        thoughts = t.thoughts + excluded.thoughts,
        tool = t.tool + excluded.tool,
        cached = t.cached + excluded.cached,
        total = t.total + excluded.total,
        cost_nano = t.cost_nano + excluded.cost_nano,
        input_cost_nano = t.input_cost_nano + excluded.input_cost_nano,
        charge_nano = t.charge_nano + excluded.charge_nano
),
rolled_project AS (
    INSERT INTO jangbu.project_recent AS t (
        project, at, service_id, model_id, writer, calls, prompt, candidates, thoughts, tool, cached, total,
        cost_nano, input_cost_nano, charge_nano, unpriced
    )
    SELECT
        $27::text, date_trunc('minute', r.at, 'UTC'), $3::smallint, $4::integer, $26::smallint, 1, $9::bigint,
        $10::bigint, $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, 0
    FROM ready AS r
    ON CONFLICT (project, at, service_id, model_id, writer) DO UPDATE
    SET calls = t.calls + 1,
        prompt = t.prompt + excluded.prompt,
        candidates = t.candidates + excluded.candidates,
        thoughts = t.thoughts + excluded.thoughts,
        tool = t.tool + excluded.tool,
        cached = t.cached + excluded.cached,
        total = t.total + excluded.total,
        cost_nano = t.cost_nano + excluded.cost_nano,
        input_cost_nano = t.input_cost_nano + excluded.input_cost_nano,
        charge_nano = t.charge_nano + excluded.charge_nano
)
SELECT
    coalesce(r.amount, 0) AS hold_amount,
    r.granted - r.used - r.held - $14::bigint + coalesce(r.amount, 0) AS available
FROM ready AS r
