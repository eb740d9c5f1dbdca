-- The revision that the database has.
SELECT version_num FROM jangbu.schema_revision
