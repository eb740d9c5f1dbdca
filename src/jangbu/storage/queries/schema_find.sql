-- Whether the database was ever upgraded.
SELECT to_regclass('jangbu.schema_revision')::text
