-- The database's clock, and whether it only reads: a standby answers as any server does, and takes no call's hold.
SELECT
    clock_timestamp() AS now,
    current_setting('transaction_read_only') = 'on' AS is_read_only
