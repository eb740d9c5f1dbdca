-- Lets a batch of calls in under the limits of their keys, or not, whichever gateway asks: of a key's calls the first so
-- many as all its limits have room for. The row of a key is locked, in the order of the keys, and all that a limit is
-- compared with stands in that row, because whatever else a statement reads is as old as its beginning. The first use of
-- a key makes its row. RETURNING tells what is, not what was done, so the row keeps how many were let in. A minute that
-- another statement began is not gone back from.
WITH item AS (
    SELECT t.key_id, t.call_id, t.n, row_number() OVER (PARTITION BY t.key_id ORDER BY t.n)::integer AS place
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS t (key_id, call_id, n)
),
wanted AS (
    SELECT
        k.key_id, k.requests_per_minute, k.tokens_per_minute, k.concurrent_calls, i.calls,
        date_trunc('minute', statement_timestamp(), 'UTC') AS minute
    FROM (SELECT key_id, max(place) AS calls FROM item GROUP BY key_id) AS i
    JOIN jangbu.api_keys AS k ON k.key_id = i.key_id
),
used AS (
    INSERT INTO jangbu.key_uses AS u (key_id, minute, requests, calls, admitted)
    SELECT w.key_id, w.minute, room.calls, room.calls, room.calls
    FROM wanted AS w
    CROSS JOIN LATERAL (SELECT least(w.calls, w.requests_per_minute, w.concurrent_calls) AS calls) AS room
    ORDER BY w.key_id
    ON CONFLICT (key_id) DO UPDATE
    SET (minute, requests, tokens, calls, admitted) = (
        SELECT
            greatest(u.minute, w.minute), so_far.requests + room.calls, so_far.tokens, u.calls + room.calls, room.calls
        FROM wanted AS w
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN u.minute >= w.minute THEN u.requests ELSE 0 END AS requests,
                CASE WHEN u.minute >= w.minute THEN u.tokens ELSE 0 END AS tokens
        ) AS so_far
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN so_far.tokens >= w.tokens_per_minute THEN 0
                ELSE greatest(
                    0, least(w.calls, w.requests_per_minute - so_far.requests, w.concurrent_calls - u.calls)
                )
            END AS calls
        ) AS room
        WHERE w.key_id = u.key_id
    )
    RETURNING u.key_id, u.minute, u.requests, u.tokens, u.admitted
),
begun AS (
    INSERT INTO jangbu.key_calls (key_id, call_id, expires_at)
    SELECT i.key_id, i.call_id, clock_timestamp() + $3::integer * interval '1 second'
    FROM item AS i
    JOIN used AS u ON u.key_id = i.key_id
    WHERE i.place <= u.admitted
)
SELECT
    CASE
        WHEN i.place <= u.admitted THEN NULL
        WHEN u.requests >= w.requests_per_minute THEN 'requests'
        WHEN u.tokens >= w.tokens_per_minute THEN 'tokens'
        ELSE 'calls'
    END AS reached,
    greatest(1, ceil(extract(epoch FROM u.minute + interval '1 minute' - clock_timestamp())))::integer AS seconds
FROM item AS i
JOIN used AS u ON u.key_id = i.key_id
JOIN wanted AS w ON w.key_id = i.key_id
ORDER BY i.n
