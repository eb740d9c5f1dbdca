-- Seals the records of a month and drops their partition, in one transaction; NULL where nothing was dropped.
SELECT jangbu.usage_partition_drop($1::date::timestamp AT TIME ZONE 'UTC')
