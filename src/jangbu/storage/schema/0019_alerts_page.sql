-- A finding is new until somebody says that they look into it, and open until somebody or something resolves it. What a
-- person did bears their name, and why.
ALTER TABLE jangbu.findings
ADD COLUMN acknowledged_at timestamptz,
ADD COLUMN acknowledged_by text,
ADD COLUMN resolved_by text,
ADD COLUMN resolution text;
CREATE INDEX findings_by_time ON jangbu.findings (created_at, usage_id);

-- For how long nobody is sent alerts of a condition: what is raised from muted_at until the end is kept, and never sent.
-- ended_at is when somebody ended it before its time.
CREATE TABLE jangbu.alert_mutes (
    mute_id uuid PRIMARY KEY,
    project text NOT NULL,
    condition text NOT NULL,
    muted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL,
    reason text NOT NULL,
    muted_by text NOT NULL,
    ended_at timestamptz,
    CHECK (until > muted_at)
);
CREATE INDEX alert_mutes_by_end ON jangbu.alert_mutes (project, until);

-- An alert that was muted is over without having been sent: whoever looks for what is due does not meet it again.
ALTER TABLE jangbu.alerts ADD COLUMN muted_at timestamptz;
DROP INDEX jangbu.alerts_due;
CREATE INDEX alerts_due ON jangbu.alerts (project, due_at)
WHERE delivered_at IS NULL AND given_up_at IS NULL AND muted_at IS NULL;

-- How the latest test of a channel ended, and when it began: so that nobody floods a channel with tests.
CREATE TABLE jangbu.channel_tests (
    project text NOT NULL,
    channel text NOT NULL,
    tested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tested_by text NOT NULL,
    ended_at timestamptz,
    error text,
    PRIMARY KEY (project, channel)
);

-- Events of one user, and those that were given up, page by page.
CREATE INDEX webhook_events_by_user ON jangbu.webhook_events (project, user_id, created_at, id);
CREATE INDEX webhook_events_given_up ON jangbu.webhook_events (project, created_at, id) WHERE given_up_at IS NOT NULL;
