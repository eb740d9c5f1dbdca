-- Counts tokens into the minute of a key apart from the end of a call: those of a result that was settled later. They count
-- under the keys that made it, too, where these have limits.
WITH RECURSIVE line AS (
    SELECT k.key_id, k.made_by, true AS is_counted FROM jangbu.api_keys AS k WHERE k.key_id = $1::uuid
    UNION ALL
    SELECT k.key_id, k.made_by, coalesce(k.requests_per_minute, k.tokens_per_minute, k.concurrent_calls) IS NOT NULL
    FROM line AS l
    JOIN jangbu.api_keys AS k ON k.key_id = l.made_by
)
INSERT INTO jangbu.key_uses AS u (key_id, minute, tokens)
SELECT l.key_id, date_trunc('minute', statement_timestamp(), 'UTC'), $2::bigint
FROM line AS l
WHERE l.is_counted
ORDER BY l.key_id
ON CONFLICT (key_id) DO UPDATE
SET minute = greatest(u.minute, excluded.minute),
    requests = CASE WHEN u.minute >= excluded.minute THEN u.requests ELSE 0 END,
    tokens = CASE WHEN u.minute >= excluded.minute THEN u.tokens ELSE 0 END + excluded.tokens
