-- Ends the segment that is being written, so that it is archived now, and names it: the position before the switch lies
-- in it, or in the one before where nothing was written since.
SELECT pg_walfile_name(pg_switch_wal() - 1)
