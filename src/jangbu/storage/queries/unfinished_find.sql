-- Whether an upgrade left this work to be done.
SELECT EXISTS (SELECT FROM jangbu.unfinished WHERE work = $1::text)
