-- The idempotency key under which an entry was made, so that whoever sent a request finds what came of it. It is NULL for
-- usage, whose calls have keys of their own, and for what was posted before keys were kept here. What an entry's hash
-- says is what moved; the key is no part of that.
ALTER TABLE jangbu.entries ADD COLUMN key text;

-- Among a hundred thousand debits a few grants and corrections are found by their kind. A debit is not in the index, so
-- recording does not pay for it.
CREATE INDEX entries_by_kind ON jangbu.entries (account_id, asset, kind, seq) WHERE kind <> 'usage';
