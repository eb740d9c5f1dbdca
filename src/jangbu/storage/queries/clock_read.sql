-- The database's clock: the only one that ends holds and grants.
SELECT clock_timestamp()
