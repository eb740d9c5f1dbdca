-- Verifications that somebody asked for, with what they found. While one is under way its process renews runs_until; one
-- whose process died is over by itself. A project has one under way at a time.
CREATE TABLE jangbu.verification_runs (
    id uuid PRIMARY KEY,
    project text NOT NULL,
    is_full boolean NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    runs_until timestamptz NOT NULL,
    ended_at timestamptz,
    failure text,
    since timestamptz,
    accounts bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    checked text[] NOT NULL DEFAULT '{}',
    mismatches jsonb NOT NULL DEFAULT '[]',
    cut text[] NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX verification_runs_under_way ON jangbu.verification_runs (project) WHERE ended_at IS NULL;
