-- What signs the tokens that open one user's own view, one secret for each project. It stands here because every process
-- that makes or accepts such a token reads this database, and shares nothing else. Another secret in its place ends all
-- tokens that the former one signed.
CREATE TABLE jangbu.view_keys (
    project text PRIMARY KEY,
    secret bytea NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
