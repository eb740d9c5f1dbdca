-- A chart of a user's days in most zones adds up 24 hours for each day, service and model, as that of all users did before
-- these were kept by six hours. Whoever carries waits meanwhile.
LOCK TABLE jangbu.usage_hours IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE jangbu.usage_six_hours (LIKE jangbu.usage_hours INCLUDING ALL);

INSERT INTO jangbu.usage_six_hours (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    h.account_id, date_bin('6 hours', h.at, '2000-01-01Z'), h.service_id, h.model_id,
    jangbu.sum(h.calls), jangbu.sum(h.prompt), jangbu.sum(h.candidates), jangbu.sum(h.thoughts), jangbu.sum(h.tool),
    jangbu.sum(h.cached), jangbu.sum(h.total), jangbu.sum(h.cost_nano), jangbu.sum(h.input_cost_nano),
    jangbu.sum(h.charge_nano), jangbu.sum(h.unpriced)
FROM jangbu.usage_hours AS h
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4;

-- Processes of an earlier release would carry without writing these. They carry no more, because they find this function
-- by its former name: what is over stays recent, where it is read as well, until one of this release carries it.
ALTER FUNCTION jangbu.size_class(bigint) RENAME TO class_of_size;

-- A backup without privileges does not keep who may execute a function, and PUBLIC may then: nobody else's table is
-- followed with the owner's rights all the same.
CREATE OR REPLACE FUNCTION jangbu.follow_project_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_RELID <> 'jangbu.project_hours'::regclass THEN
        RAISE insufficient_privilege USING MESSAGE = 'only jangbu.project_hours is followed';
    END IF;
    INSERT INTO jangbu.project_six_hours AS r (
        project, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
        input_cost_nano, charge_nano, unpriced
    )
    VALUES (
        NEW.project, date_bin('6 hours', NEW.at, '2000-01-01Z'), NEW.service_id, NEW.model_id,
        NEW.calls - coalesce(OLD.calls, 0), NEW.prompt - coalesce(OLD.prompt, 0),
        NEW.candidates - coalesce(OLD.candidates, 0), NEW.thoughts - coalesce(OLD.thoughts, 0),
        NEW.tool - coalesce(OLD.tool, 0), NEW.cached - coalesce(OLD.cached, 0), NEW.total - coalesce(OLD.total, 0),
        NEW.cost_nano - coalesce(OLD.cost_nano, 0), NEW.input_cost_nano - coalesce(OLD.input_cost_nano, 0),
        NEW.charge_nano - coalesce(OLD.charge_nano, 0), NEW.unpriced - coalesce(OLD.unpriced, 0)
    )
    ON CONFLICT (project, at, service_id, model_id) DO UPDATE
    SET calls = r.calls + excluded.calls,
        prompt = r.prompt + excluded.prompt,
        candidates = r.candidates + excluded.candidates,
        thoughts = r.thoughts + excluded.thoughts,
        tool = r.tool + excluded.tool,
        cached = r.cached + excluded.cached,
        total = r.total + excluded.total,
        cost_nano = r.cost_nano + excluded.cost_nano,
        input_cost_nano = r.input_cost_nano + excluded.input_cost_nano,
        charge_nano = r.charge_nano + excluded.charge_nano,
        unpriced = r.unpriced + excluded.unpriced;
    RETURN NULL;
END
$$;
