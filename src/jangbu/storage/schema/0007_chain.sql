-- Entries are chained by account and asset: each carries the SHA-256 of a line that begins with the hash before it and
-- says all that the entry says, and the balance keeps the latest, so that none can be changed, left out or put in
-- without every later one being written anew. The line is text, so that anybody can make it: the parts are separated by
-- bars, absent numbers and ids are empty, the time is in seconds and microseconds, and the reason is last, because it
-- may hold bars itself, and is left out where there is none.
ALTER TABLE jangbu.entries ADD COLUMN hash bytea;

-- Empty where nothing was entered yet. NULL where entries of earlier releases are not chained yet: their chain is made
-- from the first one on, and what is entered meanwhile waits for it.
ALTER TABLE jangbu.balances ADD COLUMN head bytea;
ALTER TABLE jangbu.balances ALTER COLUMN head SET DEFAULT '';

-- The hash of an entry, NULL where the one before it has none. It is one expression, so that it costs no call.
CREATE FUNCTION jangbu.entry_hash(
    previous bytea, account_id uuid, asset smallint, seq bigint, kind text, delta bigint, balance_after bigint,
    posting bigint, reference uuid, reason text, created_at timestamptz
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(
        encode(previous, 'hex') || '|' || concat_ws(
            '|', account_id, asset, seq, kind, delta, balance_after, coalesce(posting::text, ''),
            coalesce(reference::text, ''), extract(epoch FROM created_at), reason
        ),
        'UTF8'
    ))
$$;

-- What an upgrade leaves to be done page by page, so that nobody waits for it; a row goes when its work is done.
CREATE TABLE jangbu.unfinished (work text PRIMARY KEY);
INSERT INTO jangbu.unfinished (work) SELECT 'chain' WHERE EXISTS (SELECT FROM jangbu.balances);
