-- What was verified last, for each project: the moment to which the book was found in order, how the last verification
-- ended, and how the last one that looked at everything did. runner is the process that verifies in the background, until runs_until, where nothing renews it.
CREATE TABLE jangbu.verifications (
    project text PRIMARY KEY,
    verified_to timestamptz,
    full_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    is_full boolean NOT NULL DEFAULT false,
    accounts bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    mismatches bigint NOT NULL DEFAULT 0,
    full_mismatches bigint NOT NULL DEFAULT 0,
    runner uuid,
    runs_until timestamptz
);

-- How far the entries of a balance were verified: the number and the hash of the entry that was the last one then, and
-- what the entries up to it granted and used. From there an incremental verification goes on.
CREATE TABLE jangbu.verified_balances (
    account_id uuid NOT NULL,
    asset smallint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    granted bigint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (account_id, asset)
) WITH (fillfactor = 70);

-- The views of what the figures are sums of, with the ids from which on they are: what retention dropped has the first
-- id of its hour, and of its postings only the sums are left, of which nobody knows the time.
CREATE OR REPLACE VIEW jangbu.usage_and_sealed AS
SELECT
    account_id, date_trunc('hour', jangbu.uuid7_time(id), 'UTC') AS hour, service_id, model_id, 1::bigint AS calls,
    prompt, candidates, thoughts, tool, cached, total, coalesce(cost_nano, 0) AS cost_nano,
    coalesce(input_cost_nano, 0) AS input_cost_nano, coalesce(charge_nano, 0) AS charge_nano,
    CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END::bigint AS unpriced,
    id
FROM jangbu.usage
UNION ALL
SELECT
    account_id, hour, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced, jangbu.uuid7_floor(hour)
FROM jangbu.usage_sealed;

CREATE OR REPLACE VIEW jangbu.postings_and_sealed AS
SELECT
    u.account_id, p.asset, p.posting,
    CASE WHEN u.total > u.hold_amount THEN 'overrun' ELSE 'usage' END::jangbu.entry_kind AS kind,
    p.amount,
    u.id
FROM jangbu.usage AS u
CROSS JOIN LATERAL (
    VALUES (1::smallint, u.posting, u.total), (2::smallint, u.money_posting, u.charge_nano)
) AS p (asset, posting, amount)
WHERE p.amount > 0 AND p.posting IS NOT NULL
UNION ALL
SELECT account_id, asset, posting, kind, amount, '00000000-0000-0000-0000-000000000000'::uuid
FROM jangbu.postings_sealed;
