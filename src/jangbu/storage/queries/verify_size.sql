-- How many accounts there are to look at, and the beginning of the figures that know no user.
SELECT
    (SELECT count(*) FROM jangbu.accounts WHERE project = $1::text) AS accounts,
    least(
        (SELECT min(at) FROM jangbu.project_quarters WHERE project = $1::text),
        (SELECT min(at) FROM jangbu.project_recent WHERE project = $1::text)
    ) AS first_hour
