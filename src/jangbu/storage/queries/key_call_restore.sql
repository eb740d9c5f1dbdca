-- Counts calls again that expired while their process could not renew them, and that go on all the same. Keys are locked
-- first and in order. A call that is there counts once, so that a repetition is harmless; more calls than the limit may
-- be under way for a while, because others were let in meanwhile.
WITH item AS (
    SELECT t.key_id, t.call_id
    FROM unnest($1::uuid[], $2::uuid[]) AS t (key_id, call_id)
),
locked AS (
    SELECT u.key_id
    FROM jangbu.key_uses AS u
    WHERE u.key_id = ANY ($1::uuid[])
    ORDER BY u.key_id
    FOR NO KEY UPDATE
),
waited AS (
    SELECT count(*) AS keys FROM locked
),
back AS (
    INSERT INTO jangbu.key_calls (key_id, call_id, expires_at)
    SELECT i.key_id, i.call_id, clock_timestamp() + $3::integer * interval '1 second'
    FROM item AS i
    CROSS JOIN waited AS w
    ON CONFLICT DO NOTHING
    RETURNING key_id
)
INSERT INTO jangbu.key_uses AS u (key_id, minute, calls)
SELECT b.key_id, date_trunc('minute', statement_timestamp(), 'UTC'), count(*)::integer
FROM back AS b
GROUP BY b.key_id
ORDER BY b.key_id
ON CONFLICT (key_id) DO UPDATE
SET calls = u.calls + excluded.calls
