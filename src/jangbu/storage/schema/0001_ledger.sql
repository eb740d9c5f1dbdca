-- The ledger. Every key begins with account_id, so that tables can be distributed by it and no transaction spans two
-- accounts. Tokens and nano-USD are bigint; times are timestamptz; nothing here needs an extension or a trigger.

CREATE SCHEMA IF NOT EXISTS jangbu;

CREATE TYPE jangbu.account_state AS ENUM ('active', 'blocked');
CREATE TYPE jangbu.entry_kind AS ENUM (
    'grant', 'expiry', 'usage', 'overrun', 'refund', 'adjustment', 'void', 'imported'
);
CREATE TYPE jangbu.hold_state AS ENUM ('open', 'settled', 'released', 'expired', 'unknown');
CREATE TYPE jangbu.platform AS ENUM ('gemini_api', 'vertex');
CREATE TYPE jangbu.source AS ENUM ('reported', 'count_tokens', 'partial', 'none', 'imported');
CREATE TYPE jangbu.surface AS ENUM (
    'generate_content', 'stream_generate_content', 'live', 'interactions', 'batch', 'embed_content', 'count_tokens',
    'cached_contents', 'openai', 'predict', 'predict_long_running'
);
CREATE TYPE jangbu.tier AS ENUM ('standard', 'batch', 'flex', 'priority', 'offpeak', 'provisioned');
CREATE TYPE jangbu.finding_kind AS ENUM ('unpriced', 'overrun', 'late', 'partial', 'anomaly', 'unknown_outcome');

-- A UUIDv7 carries its milliseconds in the first 48 bits: these two functions turn time into ids and back, so that one
-- primary key gives idempotency, order in time and partition pruning.
CREATE FUNCTION jangbu.uuid7_time(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)
$$;

CREATE FUNCTION jangbu.uuid7_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

CREATE TABLE jangbu.accounts (
    account_id uuid PRIMARY KEY,
    project text NOT NULL,
    user_id text NOT NULL CHECK (length(user_id) BETWEEN 1 AND 200),
    state jangbu.account_state NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX accounts_by_user ON jangbu.accounts (project, user_id);

-- asset 1 is tokens, 2 is money in nano-USD. available = granted - used - held, computed and never stored.
CREATE TABLE jangbu.balances (
    account_id uuid NOT NULL,
    asset smallint NOT NULL CHECK (asset IN (1, 2)),
    granted bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, asset)
) WITH (fillfactor = 60);

CREATE TABLE jangbu.services (
    service_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 50)
);
CREATE TABLE jangbu.models (
    model_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200)
);

-- One row for one answer of the provider. cost_nano is what it costs by the price book, input_cost_nano the part of it
-- that input makes, charge_nano what the user is charged with the project's mark-up; NULL where no price is known.
-- posting is the version of the token balance that the flush found: it ties the row to the entries of the same posting,
-- which sum it; they have the next numbers. money_posting is the same of the money balance, NULL where no money was
-- charged. hold_amount is what was held for the call, if anything.
CREATE TABLE jangbu.usage (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    service_id smallint NOT NULL,
    model_id integer NOT NULL,
    surface jangbu.surface NOT NULL,
    platform jangbu.platform NOT NULL,
    tier jangbu.tier,
    source jangbu.source NOT NULL,
    prompt bigint NOT NULL CHECK (prompt >= 0),
    candidates bigint NOT NULL CHECK (candidates >= 0),
    thoughts bigint NOT NULL CHECK (thoughts >= 0),
    tool bigint NOT NULL CHECK (tool >= 0),
    cached bigint NOT NULL CHECK (cached >= 0),
    total bigint NOT NULL CHECK (total >= 0),
    cost_nano bigint,
    input_cost_nano bigint,
    charge_nano bigint,
    price_version integer,
    hold_amount bigint,
    late boolean NOT NULL DEFAULT false,
    posting bigint NOT NULL,
    money_posting bigint,
    response_id text,
    anomalies text[],
    raw jsonb NOT NULL,
    metadata jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id)
) PARTITION BY RANGE (id);

-- Makes the partition of the month that holds a moment; safe to call by many at once and again.
CREATE FUNCTION jangbu.usage_partition_make(at timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
    name text := 'usage_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass('jangbu.' || name) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('jangbu.usage_partition_make', 0));
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS jangbu.%I PARTITION OF jangbu.usage FOR VALUES FROM (%L) TO (%L)',
            name,
            jangbu.uuid7_floor(month AT TIME ZONE 'UTC'),
            jangbu.uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC')
        );
    END IF;
    RETURN name;
END
$$;

-- What is left of records that retention dropped: the sums that every figure of the book is made of, by hour and by
-- posting, so that the book can still be verified to the token. A month's records are sealed when they are dropped.
CREATE TABLE jangbu.usage_sealed (
    account_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    service_id smallint NOT NULL,
    model_id integer NOT NULL,
    calls bigint NOT NULL,
    prompt bigint NOT NULL,
    candidates bigint NOT NULL,
    thoughts bigint NOT NULL,
    tool bigint NOT NULL,
    cached bigint NOT NULL,
    total bigint NOT NULL,
    cost_nano bigint NOT NULL,
    input_cost_nano bigint NOT NULL,
    charge_nano bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (account_id, hour, service_id, model_id)
);
CREATE TABLE jangbu.postings_sealed (
    account_id uuid NOT NULL,
    asset smallint NOT NULL,
    posting bigint NOT NULL,
    kind jangbu.entry_kind NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (account_id, asset, posting, kind)
);

-- Seals a month's records and drops their partition; gives how many they were, or NULL where there is no such
-- partition, or where a call of the month is not finished: without a price, or held.
--
-- Late records of that month wait while it is sealed, and readers do not; all others wait only for the drop itself. A
-- late record that waits holds the parent, which the drop needs: the lock times out before PostgreSQL would look for a
-- deadlock (deadlock_timeout, 1 s), so that this function fails, changes nothing and may be called again, and no flush
-- ever fails.
CREATE FUNCTION jangbu.usage_partition_drop(at timestamptz) RETURNS bigint
LANGUAGE plpgsql
SET lock_timeout = '800ms' AS $$
DECLARE
    month timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
    name text := 'usage_' || to_char(month, 'YYYYMM');
    first uuid := jangbu.uuid7_floor(month AT TIME ZONE 'UTC');
    next uuid := jangbu.uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC');
    dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('jangbu.usage_partition_drop', 0));
    IF to_regclass('jangbu.' || name) IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('LOCK TABLE ONLY jangbu.%I IN SHARE ROW EXCLUSIVE MODE', name);
    IF EXISTS (
        SELECT FROM jangbu.findings AS f
        WHERE f.kind = 'unpriced' AND f.resolved_at IS NULL AND f.usage_id >= first AND f.usage_id < next
    ) OR EXISTS (
        SELECT FROM jangbu.holds AS h WHERE h.state IN ('open', 'unknown') AND h.id >= first AND h.id < next
    ) THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        $seal$
        INSERT INTO jangbu.usage_sealed AS s (
            account_id, hour, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total,
            cost_nano, input_cost_nano, charge_nano, unpriced
        )
        SELECT
            u.account_id, date_trunc('hour', jangbu.uuid7_time(u.id), 'UTC') AS hour, u.service_id, u.model_id,
            count(*), sum(u.prompt), sum(u.candidates), sum(u.thoughts), sum(u.tool), sum(u.cached), sum(u.total),
            coalesce(sum(u.cost_nano), 0), coalesce(sum(u.input_cost_nano), 0), coalesce(sum(u.charge_nano), 0),
            count(*) FILTER (WHERE u.cost_nano IS NULL)
        FROM jangbu.%I AS u
        GROUP BY u.account_id, hour, u.service_id, u.model_id
        ON CONFLICT (account_id, hour, service_id, model_id) DO UPDATE
        SET calls = s.calls + excluded.calls,
            prompt = s.prompt + excluded.prompt,
            candidates = s.candidates + excluded.candidates,
            thoughts = s.thoughts + excluded.thoughts,
            tool = s.tool + excluded.tool,
            cached = s.cached + excluded.cached,
            total = s.total + excluded.total,
            cost_nano = s.cost_nano + excluded.cost_nano,
            input_cost_nano = s.input_cost_nano + excluded.input_cost_nano,
            charge_nano = s.charge_nano + excluded.charge_nano,
            unpriced = s.unpriced + excluded.unpriced
        $seal$,
        name
    );
    EXECUTE format(
        $seal$
        INSERT INTO jangbu.postings_sealed AS s (account_id, asset, posting, kind, amount)
        SELECT
            u.account_id, p.asset, p.posting,
            CASE WHEN u.total > u.hold_amount THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind AS kind,
            sum(p.amount)
        FROM jangbu.%I AS u
        CROSS JOIN LATERAL (
            VALUES (1::smallint, u.posting, u.total), (2::smallint, u.money_posting, u.charge_nano)
        ) AS p (asset, posting, amount)
        WHERE p.amount > 0 AND p.posting IS NOT NULL
        GROUP BY u.account_id, p.asset, p.posting, 4
        ON CONFLICT (account_id, asset, posting, kind) DO UPDATE SET amount = s.amount + excluded.amount
        $seal$,
        name
    );
    EXECUTE format('SELECT count(*) FROM jangbu.%I', name) INTO dropped;
    EXECUTE format('DROP TABLE jangbu.%I', name);
    RETURN dropped;
END
$$;

-- Append-only. seq numbers an account's entries of one asset from 1 without gaps; balance_after is granted - used.
CREATE TABLE jangbu.entries (
    account_id uuid NOT NULL,
    asset smallint NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    kind jangbu.entry_kind NOT NULL,
    delta bigint NOT NULL,
    balance_after bigint NOT NULL,
    posting bigint,
    reference uuid,
    reason text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, asset, seq)
);
CREATE INDEX entries_by_reference ON jangbu.entries (account_id, reference) WHERE reference IS NOT NULL;

-- A settled hold is deleted: its usage row is then the proof of it. may_have_left says that a call may have been sent
-- under the hold: such a hold never expires by the clock alone, it becomes unknown and stays held.
CREATE TABLE jangbu.holds (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    state jangbu.hold_state NOT NULL DEFAULT 'open',
    may_have_left boolean NOT NULL,
    service text NOT NULL,
    model text NOT NULL,
    owner text NOT NULL,
    reason text,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX holds_by_expiry ON jangbu.holds (expires_at) WHERE state = 'open';
CREATE INDEX holds_by_close ON jangbu.holds (closed_at) WHERE state IN ('released', 'expired');
CREATE INDEX holds_unknown ON jangbu.holds (account_id) WHERE state = 'unknown';

-- consumed is how much of the grant has been burnt down, as of the account's last burn-down; expired is what it lost.
CREATE TABLE jangbu.grants (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    asset smallint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    consumed bigint NOT NULL DEFAULT 0 CHECK (consumed >= 0),
    expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
    source text NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id),
    CHECK (consumed + expired <= amount)
);
CREATE INDEX grants_by_expiry ON jangbu.grants (expires_at) WHERE consumed + expired < amount;

-- Callers' own keys: the same key with the same content gives the first result again, with other content is refused.
CREATE TABLE jangbu.idempotency_keys (
    account_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    digest bytea NOT NULL,
    result_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, key)
);

CREATE TABLE jangbu.findings (
    account_id uuid NOT NULL,
    usage_id uuid NOT NULL,
    kind jangbu.finding_kind NOT NULL,
    detail text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    PRIMARY KEY (account_id, usage_id, kind)
);
CREATE INDEX findings_open ON jangbu.findings (kind, created_at) WHERE resolved_at IS NULL;

-- Every price book that was ever in force, whole: a record names its version and can be priced again to the bit. Rows
-- are never edited; the newest version of a project prices what comes in.
CREATE TABLE jangbu.price_versions (
    version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    digest bytea NOT NULL,
    book jsonb NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX price_versions_by_project ON jangbu.price_versions (project, version DESC);

-- Rollups are written in the statement that writes the usage, so a dashboard's cost does not grow with the calls.
CREATE TABLE jangbu.usage_daily (
    account_id uuid NOT NULL,
    day date NOT NULL,
    service_id smallint NOT NULL,
    model_id integer NOT NULL,
    calls bigint NOT NULL,
    prompt bigint NOT NULL,
    candidates bigint NOT NULL,
    thoughts bigint NOT NULL,
    tool bigint NOT NULL,
    cached bigint NOT NULL,
    total bigint NOT NULL,
    cost_nano bigint NOT NULL,
    input_cost_nano bigint NOT NULL,
    charge_nano bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (account_id, day, service_id, model_id)
) WITH (fillfactor = 70);

CREATE TABLE jangbu.usage_total (
    account_id uuid NOT NULL,
    service_id smallint NOT NULL,
    model_id integer NOT NULL,
    calls bigint NOT NULL,
    prompt bigint NOT NULL,
    candidates bigint NOT NULL,
    thoughts bigint NOT NULL,
    tool bigint NOT NULL,
    cached bigint NOT NULL,
    total bigint NOT NULL,
    cost_nano bigint NOT NULL,
    input_cost_nano bigint NOT NULL,
    charge_nano bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (account_id, service_id, model_id)
) WITH (fillfactor = 70);

-- writer keeps the flushers of one hour apart, so that nobody waits for a row that everybody writes.
CREATE TABLE jangbu.usage_hourly (
    project text NOT NULL,
    hour timestamptz NOT NULL,
    service_id smallint NOT NULL,
    model_id integer NOT NULL,
    writer smallint NOT NULL,
    calls bigint NOT NULL,
    prompt bigint NOT NULL,
    candidates bigint NOT NULL,
    thoughts bigint NOT NULL,
    tool bigint NOT NULL,
    cached bigint NOT NULL,
    total bigint NOT NULL,
    cost_nano bigint NOT NULL,
    input_cost_nano bigint NOT NULL,
    charge_nano bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (project, hour, service_id, model_id, writer)
) WITH (fillfactor = 70);

-- What the figures of the book are sums of: each record that stands, and the sums of those that were dropped.
CREATE VIEW jangbu.usage_and_sealed AS
SELECT
    account_id, date_trunc('hour', jangbu.uuid7_time(id), 'UTC') AS hour, service_id, model_id, 1::bigint AS calls,
    prompt, candidates, thoughts, tool, cached, total, coalesce(cost_nano, 0) AS cost_nano,
    coalesce(input_cost_nano, 0) AS input_cost_nano, coalesce(charge_nano, 0) AS charge_nano,
    CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced
FROM jangbu.usage
UNION ALL
SELECT
    account_id, hour, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
FROM jangbu.usage_sealed;

CREATE VIEW jangbu.postings_and_sealed AS
SELECT
    u.account_id, p.asset, p.posting,
    CASE WHEN u.total > u.hold_amount THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind AS kind,
    p.amount
FROM jangbu.usage AS u
CROSS JOIN LATERAL (
    VALUES (1::smallint, u.posting, u.total), (2::smallint, u.money_posting, u.charge_nano)
) AS p (asset, posting, amount)
WHERE p.amount > 0 AND p.posting IS NOT NULL
UNION ALL
SELECT account_id, asset, posting, kind, amount
FROM jangbu.postings_sealed;

-- The guide's own names, for people and programs that know them.
CREATE VIEW jangbu.token_usage AS
SELECT
    u.id,
    a.user_id,
    s.name AS service_type,
    m.name AS model_name,
    u.prompt + u.tool AS prompt_tokens,
    u.candidates + u.thoughts AS completion_tokens,
    u.total AS total_tokens,
    u.cost_nano::numeric / 1000000000 AS api_cost,
    jangbu.uuid7_time(u.id) AS created_at,
    u.metadata
FROM jangbu.usage AS u
JOIN jangbu.accounts AS a USING (account_id)
JOIN jangbu.services AS s USING (service_id)
JOIN jangbu.models AS m USING (model_id);

CREATE VIEW jangbu.user_tokens AS
SELECT
    a.user_id,
    b.granted AS balance,
    b.used AS used_tokens,
    b.held AS held_tokens,
    b.granted - b.used - b.held AS available
FROM jangbu.balances AS b
JOIN jangbu.accounts AS a USING (account_id)
WHERE b.asset = 1;
