-- How many accounts there are to look at, and the first hour of the figures that know no user.
SELECT
    (SELECT count(*) FROM jangbu.accounts WHERE project = $1::text) AS accounts,
    (SELECT min(hour) FROM jangbu.usage_hourly WHERE project = $1::text) AS first_hour
