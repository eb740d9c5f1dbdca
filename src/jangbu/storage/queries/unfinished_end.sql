-- The work that an upgrade left is done.
DELETE FROM jangbu.unfinished WHERE work = $1::text
