-- Which transactions whoever looks now sees, in PostgreSQL's own words. They change whenever something was committed,
-- whatever it was, so that nobody who writes has to tell anybody of it.
SELECT pg_current_snapshot()::text
