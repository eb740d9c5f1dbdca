-- What the keys that have limits use, counted by all gateways together. key_uses has a row for each of them: the requests
-- and the tokens of the minute that began at minute, the calls under way, and how many calls the latest statement let in.
-- key_calls has a row for each call under way; calls is their number, kept where a lock makes it certain. A process keeps
-- its calls from expiring while it lives, so that those of a process that was killed end by themselves.
CREATE TABLE jangbu.key_uses (
    key_id uuid PRIMARY KEY,
    minute timestamptz NOT NULL,
    requests integer NOT NULL DEFAULT 0 CHECK (requests >= 0),
    tokens bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    calls integer NOT NULL DEFAULT 0 CHECK (calls >= 0),
    admitted integer NOT NULL DEFAULT 0 CHECK (admitted >= 0)
) WITH (fillfactor = 60);

CREATE TABLE jangbu.key_calls (
    key_id uuid NOT NULL,
    call_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, call_id)
);

-- Work that is settled later counts into the tokens of the key that started it, in the minute in which it is settled.
-- NULL where that key has no limit of tokens.
ALTER TABLE jangbu.resources ADD COLUMN key_id uuid;

CREATE OR REPLACE VIEW jangbu.living_resources AS
SELECT
    r.account_id, r.name, r.kind, r.call_id, r.service, r.model, r.metadata, r.target, r.created_at, r.settled_at,
    a.project, a.user_id, r.key_id
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.expires_at IS NULL
    OR r.expires_at > clock_timestamp()
    OR (r.call_id IS NOT NULL AND r.settled_at IS NULL);
