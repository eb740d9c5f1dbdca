-- Calls that were refused because a balance did not cover them: how many of each user in each minute. A refused call has no
-- record, and of the users who are refused most there is still one row a minute.
CREATE TABLE jangbu.refused_minutes (
    project text NOT NULL,
    at timestamptz NOT NULL,
    account_id uuid NOT NULL,
    calls bigint NOT NULL CHECK (calls > 0),
    PRIMARY KEY (project, at, account_id)
);
CREATE INDEX refused_minutes_by_account ON jangbu.refused_minutes (account_id, at);

-- Holds of calls for which nothing was deducted, by when they were taken. Those of calls under way are not in it, so that
-- taking and settling a hold costs no more than before.
CREATE INDEX holds_undeducted ON jangbu.holds (taken_at, account_id) WHERE state IN ('unknown', 'released', 'expired');
