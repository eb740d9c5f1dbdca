-- Alerts wait here until they are delivered: the outbox of all nodes. due_at is when one is tried next; whoever takes it
-- moves due_at ahead, which is its lease, and attempts tells a late finisher that somebody else has it by now. facts are
-- counts, ids and names of models. Times but raised_at (the raiser's own) are the database's.
CREATE TABLE jangbu.alerts (
    id uuid PRIMARY KEY,
    project text NOT NULL,
    condition text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('began', 'lasts', 'ended')),
    key text NOT NULL,
    node text NOT NULL,
    facts jsonb NOT NULL,
    raised_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    delivered_to text[] NOT NULL DEFAULT '{}',
    errors jsonb NOT NULL DEFAULT '{}',
    delivered_at timestamptz,
    given_up_at timestamptz
);
CREATE INDEX alerts_due ON jangbu.alerts (project, due_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX alerts_by_time ON jangbu.alerts (project, created_at);

-- When the same was told last, so that all nodes together tell it once in its interval.
CREATE TABLE jangbu.alert_keys (
    project text NOT NULL,
    key text NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (project, key)
);

-- A finding is written in the transaction that causes it, and is what its alert is made of: nothing has to be written
-- twice for an alert to survive, and many findings make one alert.
ALTER TABLE jangbu.findings ADD COLUMN alerted_at timestamptz;
CREATE INDEX findings_unalerted ON jangbu.findings (kind, created_at) WHERE alerted_at IS NULL AND resolved_at IS NULL;
