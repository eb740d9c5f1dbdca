-- Ends a batch of calls, and counts the tokens that they were charged into the minute. Keys are locked first and in
-- order. A call that ended before, or whose time was up, is not there any more and counts nothing, so that a repetition
-- is harmless.
WITH item AS (
    SELECT t.key_id, t.call_id, t.tokens
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS t (key_id, call_id, tokens)
),
locked AS (
    SELECT u.key_id
    FROM jangbu.key_uses AS u
    WHERE u.key_id = ANY ($1::uuid[])
    ORDER BY u.key_id
    FOR NO KEY UPDATE
),
ended AS (
    DELETE FROM jangbu.key_calls AS c
    USING item AS i, locked AS l
    WHERE l.key_id = i.key_id AND c.key_id = i.key_id AND c.call_id = i.call_id
    RETURNING c.key_id, i.tokens
),
spent AS (
    SELECT
        key_id, count(*)::integer AS calls, sum(tokens)::bigint AS tokens,
        date_trunc('minute', statement_timestamp(), 'UTC') AS minute
    FROM ended
    GROUP BY key_id
)
UPDATE jangbu.key_uses AS u
SET minute = greatest(u.minute, s.minute),
    requests = CASE WHEN u.minute >= s.minute THEN u.requests ELSE 0 END,
    tokens = CASE WHEN u.minute >= s.minute THEN u.tokens ELSE 0 END + s.tokens,
    calls = u.calls - s.calls
FROM spent AS s
WHERE u.key_id = s.key_id AND u.key_id = ANY ($1::uuid[])
