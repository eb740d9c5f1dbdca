-- What the app is told of its users waits here until it has arrived: the outbox of all nodes. due_at is when an event is
-- tried next; whoever takes it moves due_at ahead, which is its lease, and turn tells a late finisher that somebody else has
-- it by now, or that somebody wanted it sent again. facts are counts, ids and kinds, never a key or content. All times are
-- the database's.
CREATE TABLE jangbu.webhook_events (
    id uuid PRIMARY KEY,
    project text NOT NULL,
    kind text NOT NULL,
    user_id text NOT NULL,
    facts jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    gives_up_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 day',
    turn integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error text,
    delivered_at timestamptz,
    given_up_at timestamptz
);
CREATE INDEX webhook_events_due ON jangbu.webhook_events (project, due_at)
WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX webhook_events_by_time ON jangbu.webhook_events (project, created_at, id);

-- Up to which entry the app knows that a balance is low. It is told again only where an entry after that left more than
-- the threshold and its margin, so nothing has to be noted when a balance rises. was is the entry before: of two who look
-- at the same moment, one finds it changed.
CREATE TABLE jangbu.low_balances (
    account_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    was bigint
);

-- Calls that a balance did not cover, until the app is told of them together: a user once an hour.
CREATE TABLE jangbu.refused_calls (
    account_id uuid PRIMARY KEY,
    project text NOT NULL,
    calls bigint NOT NULL CHECK (calls >= 0),
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_at timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX refused_calls_due ON jangbu.refused_calls (project, told_at);

-- How far the periodic look at all balances has come.
CREATE TABLE jangbu.webhook_walks (
    project text PRIMARY KEY,
    after uuid NOT NULL,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A grant that was used up, and a finding, are written in the transaction that causes them, and are what events are made
-- of. Only what is younger than a day is told, so that nobody is told of the past once a webhook is set.
ALTER TABLE jangbu.grants ADD COLUMN used_up_at timestamptz, ADD COLUMN told_at timestamptz;
CREATE INDEX grants_used_up ON jangbu.grants (used_up_at) WHERE used_up_at IS NOT NULL AND told_at IS NULL;
ALTER TABLE jangbu.findings ADD COLUMN told_at timestamptz;
CREATE INDEX findings_untold ON jangbu.findings (created_at) WHERE told_at IS NULL AND resolved_at IS NULL;
