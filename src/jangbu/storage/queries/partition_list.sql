-- The partitions of usage with the first moment they hold.
SELECT c.relname AS name, to_timestamp(substring(c.relname FROM 7), 'YYYYMM') AS month
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'jangbu.usage'::regclass
ORDER BY c.relname
