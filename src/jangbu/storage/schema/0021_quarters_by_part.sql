-- Who called a seldom model or service is found by the quarters of an hour in which such calls were made: without these two
-- columns all that everybody did in them was read for it. What is asked by time alone is found as before.
CREATE INDEX usage_quarters_by_part ON jangbu.usage_quarters (at, model_id, service_id);
DROP INDEX jangbu.usage_quarters_by_time;
