-- Counts tokens into the minute of a key apart from the end of a call: those of a result that was settled later.
INSERT INTO jangbu.key_uses AS u (key_id, minute, tokens)
VALUES ($1::uuid, date_trunc('minute', statement_timestamp(), 'UTC'), $2::bigint)
ON CONFLICT (key_id) DO UPDATE
SET minute = greatest(u.minute, excluded.minute),
    requests = CASE WHEN u.minute >= excluded.minute THEN u.requests ELSE 0 END,
    tokens = CASE WHEN u.minute >= excluded.minute THEN u.tokens ELSE 0 END + excluded.tokens
