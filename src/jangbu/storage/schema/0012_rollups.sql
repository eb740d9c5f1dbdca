-- Rollups are kept in two steps, so that a flush writes few and small ones and yet every figure of any window can be
-- read quickly, by the clock of any zone. A flush adds to the recent ones alone: of each user by quarters of an hour,
-- and of everybody by minutes. What is over goes from there to the lasting ones, in one statement that takes away what
-- it adds (rollup_users, rollup_project): each figure is the sum of both, at any moment, also where a record comes
-- late. Every zone's clock differs from UTC by whole quarters of an hour, so these are the finest that last for a user.
LOCK TABLE jangbu.usage_total, jangbu.usage_daily, jangbu.usage_hourly IN ACCESS EXCLUSIVE MODE;

CREATE TABLE jangbu.usage_recent (
    account_id uuid NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (account_id, at, service_id, model_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- The lasting figures of users. They are written an account and a quarter of a day at a time, so that what is read
-- together lies together.
CREATE TABLE jangbu.usage_quarters (
    account_id uuid NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (account_id, at, service_id, model_id)
);
-- Who used most within a few hours is found by time.
CREATE INDEX usage_quarters_by_time ON jangbu.usage_quarters (at);

CREATE TABLE jangbu.usage_hours (
    account_id uuid NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (account_id, at, service_id, model_id)
);

-- All that a user ever used.
CREATE TABLE jangbu.usage_lifetime (
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

-- What a user used on a day of UTC, of everything. The classes (jangbu.size_class) of what is asked for the most are
-- what the first users of a day are found by: they seldom change, so that most updates touch no index.
CREATE TABLE jangbu.usage_days (
    account_id uuid NOT NULL,
    project text NOT NULL,
    day date NOT NULL,
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
    calls_class smallint NOT NULL,
    total_class smallint NOT NULL,
    cost_class smallint NOT NULL,
    PRIMARY KEY (account_id, day)
) WITH (fillfactor = 80);
CREATE INDEX usage_days_by_calls ON jangbu.usage_days (project, day, calls_class);
CREATE INDEX usage_days_by_total ON jangbu.usage_days (project, day, total_class);
CREATE INDEX usage_days_by_cost ON jangbu.usage_days (project, day, cost_class);

-- The class of a size: four to each doubling. Sizes of one class have the first three binary digits in common, so that
-- a class says to a fifth how large a size is; jangbu.domain.sizes says what the largest of a class is.
CREATE FUNCTION jangbu.size_class(size bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE
        WHEN size < 4 THEN greatest(size, 0)
        ELSE 4 * (64 - position('1' IN size::bit(64)::text)) + (size >> (62 - position('1' IN size::bit(64)::text))) - 4
    END::smallint
$$;

-- The figures of everybody. writer keeps the flushers of one minute apart, so that nobody waits for a row that
-- everybody writes; in the lasting ones they are one.
CREATE TABLE jangbu.project_recent (
    project text NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (project, at, service_id, model_id, writer)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE jangbu.project_minutes (
    project text NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (project, at, service_id, model_id)
);

CREATE TABLE jangbu.project_quarters (
    project text NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (project, at, service_id, model_id)
);

CREATE TABLE jangbu.project_hours (
    project text NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (project, at, service_id, model_id)
);

CREATE TABLE jangbu.project_days (
    project text NOT NULL,
    at timestamptz NOT NULL,
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
    PRIMARY KEY (project, at, service_id, model_id)
);

-- What retention drops is sealed by quarters of an hour from now on; what was sealed by hours stands at their
-- beginning.
DROP VIEW jangbu.usage_and_sealed;
ALTER TABLE jangbu.usage_sealed RENAME COLUMN hour TO at;

CREATE VIEW jangbu.usage_and_sealed AS
SELECT
    account_id, date_bin('15 minutes', jangbu.uuid7_time(id), '2000-01-01Z') AS at, service_id, model_id,
    1::bigint AS calls, prompt, candidates, thoughts, tool, cached, total, coalesce(cost_nano, 0) AS cost_nano,
    coalesce(input_cost_nano, 0) AS input_cost_nano, coalesce(charge_nano, 0) AS charge_nano,
    CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced,
    id
FROM jangbu.usage
UNION ALL
SELECT
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced, jangbu.uuid7_floor(at)
FROM jangbu.usage_sealed;

-- What each user used by quarters of an hour, and everybody: what rests in the lasting figures and what is recent.
CREATE VIEW jangbu.usage_by_quarter AS
SELECT
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
FROM jangbu.usage_quarters
UNION ALL
SELECT
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
FROM jangbu.usage_recent;

CREATE VIEW jangbu.project_by_quarter AS
SELECT
    project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
FROM jangbu.project_quarters
UNION ALL
SELECT
    project, date_bin('15 minutes', at, '2000-01-01Z'), service_id, model_id, calls, prompt, candidates, thoughts,
    tool, cached, total, cost_nano, input_cost_nano, charge_nano, unpriced
FROM jangbu.project_recent;

-- What was recorded so far is recent at first: the sweeper carries it to where it lasts.
INSERT INTO jangbu.usage_recent (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    u.account_id, u.at, u.service_id, u.model_id, sum(u.calls), sum(u.prompt), sum(u.candidates), sum(u.thoughts),
    sum(u.tool), sum(u.cached), sum(u.total), sum(u.cost_nano), sum(u.input_cost_nano), sum(u.charge_nano),
    sum(u.unpriced)
FROM jangbu.usage_and_sealed AS u
GROUP BY u.account_id, u.at, u.service_id, u.model_id
ORDER BY u.account_id, u.at, u.service_id, u.model_id;

INSERT INTO jangbu.project_recent (
    project, at, service_id, model_id, writer, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    a.project, date_trunc('minute', u.at, 'UTC') AS at, u.service_id, u.model_id, 0, sum(u.calls), sum(u.prompt),
    sum(u.candidates), sum(u.thoughts), sum(u.tool), sum(u.cached), sum(u.total), sum(u.cost_nano),
    sum(u.input_cost_nano), sum(u.charge_nano), sum(u.unpriced)
FROM (
    SELECT
        s.account_id, jangbu.uuid7_time(s.id) AS at, s.service_id, s.model_id, s.calls, s.prompt, s.candidates,
        s.thoughts, s.tool, s.cached, s.total, s.cost_nano, s.input_cost_nano, s.charge_nano, s.unpriced
    FROM jangbu.usage_and_sealed AS s
) AS u
JOIN jangbu.accounts AS a ON a.account_id = u.account_id
GROUP BY a.project, 2, u.service_id, u.model_id
ORDER BY a.project, 2, u.service_id, u.model_id;

DROP TABLE jangbu.usage_total;
DROP TABLE jangbu.usage_daily;
DROP TABLE jangbu.usage_hourly;

-- What was a table before, for those who read it: what users ever used, and by days of UTC. They show what whoever asks
-- may see, and not what their owner may.
CREATE VIEW jangbu.usage_total WITH (security_invoker = true) AS
SELECT
    r.account_id,
    r.service_id,
    r.model_id,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt)::bigint AS prompt,
    sum(r.candidates)::bigint AS candidates,
    sum(r.thoughts)::bigint AS thoughts,
    sum(r.tool)::bigint AS tool,
    sum(r.cached)::bigint AS cached,
    sum(r.total)::bigint AS total,
    sum(r.cost_nano)::bigint AS cost_nano,
    sum(r.input_cost_nano)::bigint AS input_cost_nano,
    sum(r.charge_nano)::bigint AS charge_nano,
    sum(r.unpriced)::bigint AS unpriced
FROM (
    SELECT
        l.account_id, l.service_id, l.model_id, l.calls, l.prompt, l.candidates, l.thoughts, l.tool, l.cached, l.total,
        l.cost_nano, l.input_cost_nano, l.charge_nano, l.unpriced
    FROM jangbu.usage_lifetime AS l
    UNION ALL
    SELECT
        n.account_id, n.service_id, n.model_id, n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total,
        n.cost_nano, n.input_cost_nano, n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
) AS r
GROUP BY r.account_id, r.service_id, r.model_id;

CREATE VIEW jangbu.usage_daily WITH (security_invoker = true) AS
SELECT
    r.account_id,
    (r.at AT TIME ZONE 'UTC')::date AS day,
    r.service_id,
    r.model_id,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt)::bigint AS prompt,
    sum(r.candidates)::bigint AS candidates,
    sum(r.thoughts)::bigint AS thoughts,
    sum(r.tool)::bigint AS tool,
    sum(r.cached)::bigint AS cached,
    sum(r.total)::bigint AS total,
    sum(r.cost_nano)::bigint AS cost_nano,
    sum(r.input_cost_nano)::bigint AS input_cost_nano,
    sum(r.charge_nano)::bigint AS charge_nano,
    sum(r.unpriced)::bigint AS unpriced
FROM (
    SELECT
        h.account_id, h.at, h.service_id, h.model_id, h.calls, h.prompt, h.candidates, h.thoughts, h.tool, h.cached, h.total,
        h.cost_nano, h.input_cost_nano, h.charge_nano, h.unpriced
    FROM jangbu.usage_hours AS h
    UNION ALL
    SELECT
        n.account_id, n.at, n.service_id, n.model_id, n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total,
        n.cost_nano, n.input_cost_nano, n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
) AS r
GROUP BY r.account_id, day, r.service_id, r.model_id;

-- When a user was last seen: the moment of the latest call. What changed in used or granted since the directory was
-- written is not listed there: what is shown of it is read from here.
ALTER TABLE jangbu.balances ADD COLUMN seen_at timestamptz;
ALTER TABLE jangbu.balances ADD COLUMN is_listed boolean NOT NULL DEFAULT false;
CREATE INDEX balances_unlisted ON jangbu.balances (account_id) WHERE asset = 1 AND NOT is_listed;
UPDATE jangbu.balances AS b
SET seen_at = (
    SELECT jangbu.uuid7_time(s.id)
    FROM jangbu.usage_and_sealed AS s
    WHERE s.account_id = b.account_id
    ORDER BY s.id DESC
    LIMIT 1
)
WHERE b.asset = 1;

-- The users of a project in each order that they are listed in, paged by key. Names are in the order of their code
-- points everywhere, so that those which begin alike lie together. left_over is what is left of the balance, holds
-- apart; seen_ms is when the latest call was made, in milliseconds since 1970, 0 where none was.
CREATE TABLE jangbu.directory (
    account_id uuid PRIMARY KEY,
    project text NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    used bigint NOT NULL,
    left_over bigint NOT NULL,
    seen_ms bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX directory_by_user ON jangbu.directory (project, user_id);
CREATE INDEX directory_by_used ON jangbu.directory (project, used, user_id);
CREATE INDEX directory_by_left ON jangbu.directory (project, left_over, user_id);
CREATE INDEX directory_by_seen ON jangbu.directory (project, seen_ms, user_id);

-- Seals a month's records and drops their partition; gives how many they were, or NULL where there is no such
-- partition, or where a call of the month is not finished: without a price, or held.
--
-- Late records of that month wait while it is sealed, and readers do not; all others wait only for the drop itself. A
-- late record that waits holds the parent, which the drop needs: the lock times out before PostgreSQL would look for a
-- deadlock (deadlock_timeout, 1 s), so that this function fails, changes nothing and may be called again, and no flush
-- ever fails.
CREATE OR REPLACE FUNCTION jangbu.usage_partition_drop(at timestamptz) RETURNS bigint
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
            account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total,
            cost_nano, input_cost_nano, charge_nano, unpriced
        )
        SELECT
            u.account_id, date_bin('15 minutes', jangbu.uuid7_time(u.id), '2000-01-01Z') AS at, u.service_id,
            u.model_id, count(*), sum(u.prompt), sum(u.candidates), sum(u.thoughts), sum(u.tool), sum(u.cached),
            sum(u.total), coalesce(sum(u.cost_nano), 0), coalesce(sum(u.input_cost_nano), 0), coalesce(sum(u.charge_nano), 0),
            count(*) FILTER (WHERE u.cost_nano IS NULL)
        FROM jangbu.%I AS u
        GROUP BY u.account_id, 2, u.service_id, u.model_id
        ON CONFLICT (account_id, at, service_id, model_id) DO UPDATE
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
