-- Makes the partitions of the months that hold the given moments.
SELECT jangbu.usage_partition_make(at) FROM unnest($1::timestamptz[]) AS t (at)
