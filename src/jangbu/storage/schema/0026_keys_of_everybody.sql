-- What a key stands for is looked for at everybody, too: who knows the name of a call need not know whose it was. The
-- index that begins with the key finds it at once however many accounts there are, where the former was asked for each,
-- and recording takes as long with either. Keys are compared byte by byte: it is this index that has nothing charged
-- twice, so no collation of the system's, which changes with the system, has a say in it. Whoever records waits
-- meanwhile.
ALTER TABLE jangbu.idempotency_keys
    DROP CONSTRAINT idempotency_keys_pkey,
    ALTER COLUMN key TYPE text COLLATE "C";
ALTER TABLE jangbu.idempotency_keys ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key, account_id);

-- What is forgotten with a user. What calls are known by themselves is not in it, so recording does not pay for it.
CREATE INDEX idempotency_keys_chosen ON jangbu.idempotency_keys (account_id) WHERE key NOT LIKE 'answer:%';
