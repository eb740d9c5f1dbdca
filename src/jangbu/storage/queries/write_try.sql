-- Has the server write, and leaves nothing of it: a server whose disk is full reads as well as any. What fails there is a
-- file that is to grow. A table may not grow for this, because nobody gives back what it grew by; a temporary file may,
-- and it lies where the database's tables lie, wherever temporary files usually do. It grows by 1 MB, because its rows
-- are more than may be gathered in memory. That is more than a few flushes take: who is let in again is not to meet a
-- full disk with the next call. The message to nobody makes this a transaction that is committed as those of the ledger
-- are, in the write-ahead log and wherever commits are waited for.
WITH setting AS MATERIALIZED (
    SELECT set_config('work_mem', '64kB', true) || set_config('temp_tablespaces', '', true) AS value
)
SELECT
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    count(*) AS pieces,
    CASE
        WHEN current_setting('transaction_read_only') = 'off' THEN pg_logical_emit_message(true, 'jangbu', ''::text)
    END AS place
FROM setting AS s
CROSS JOIN LATERAL unnest(array_fill(rpad(s.value, 1000, '.'), ARRAY[1000])) AS piece
